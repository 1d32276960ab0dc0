package annotate_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	annotatev1 "github.com/starling-vr/starling/api/annotate/v1"
	"github.com/starling-vr/starling/loadtest/annotate"
)

// grpcDoor answers over gRPC as door does over HTTP.
type grpcDoor struct {
	annotatev1.UnimplementedAnnotationServer
	t testing.TB
}

func (d *grpcDoor) AnnotateStream(stream annotatev1.Annotation_AnnotateStreamServer) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer secret" {
		return status.Error(codes.Unauthenticated, "no")
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		var n int
		_, _ = fmt.Sscan(m.GetId(), &n)
		if len(m.GetText()) == 0 || m.GetFormat() == annotatev1.Format_FORMAT_UNSPECIFIED || m.GetWorkflow() != "flow" {
			d.t.Errorf("document %d: %v", n, m)
		}
		answer := &annotatev1.AnnotateResponse{Id: m.GetId(), Language: "en", LanguageConfidence: 0.5, Sentences: []*annotatev1.Span{{End: 3}}}
		switch {
		case n%13 == 12:
			continue
		case n%11 == 10:
			answer.Error = &annotatev1.Problem{Code: "too_late", Message: "the queue", Retryable: true}
		case n%7 == 6:
			answer.Functions = map[string]string{"summary": "shed", "tags": "skipped"}
		case n%5 == 4:
			answer.Late = true
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func serveGRPC(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	annotatev1.RegisterAnnotationServer(server, &grpcDoor{t: t})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

// Documents sent over gRPC are counted by what became of them.
func TestGRPCIsCounted(t *testing.T) {
	s := spec(t, 1000, "poisson", "uniform:5-20")
	s.Workflow, s.Deadline, s.Grace = "flow", 5*time.Second, 500*time.Millisecond
	s.Warmup = time.Nanosecond // so that all but what is due at once is counted
	target := &annotate.GRPC{Door: annotate.Door{URL: serveGRPC(t), Token: "secret", Connections: 3}}
	r, err := annotate.Run(t.Context(), s, target)
	if err != nil {
		t.Fatal(err)
	}
	numbers := make([]int, r.Documents)
	for n := range numbers {
		numbers[n] = n
	}
	want := fatesOf(numbers)
	if r.Through != "grpc" || r.Lost != want.lost || r.Refused != want.refused || r.Shed["summary"] != want.shed || r.Late < want.late || r.Documents < 100 {
		t.Errorf("%+v\nwant %+v", r, want)
	}
	if r.RefusedByCode["too_late"] != want.refused || r.Reasons["too_late"] != "the queue" || len(r.Missing) > 0 || r.BytesPerAnswer == 0 {
		t.Errorf("%+v", r)
	}
}

// A server that does not take the stream ends the run with its own words.
func TestGRPCThatIsRefusedIsAnError(t *testing.T) {
	s := spec(t, 200, "uniform", "fixed:5")
	s.Workflow, s.Grace = "flow", 100*time.Millisecond
	s.Deadline = 100 * time.Millisecond
	for _, d := range []annotate.Door{{URL: serveGRPC(t), Token: "wrong"}, {URL: "http://127.0.0.1:1"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if _, err := annotate.Run(ctx, s, &annotate.GRPC{Door: d}); err == nil || strings.Contains(err.Error(), "deadline") {
			t.Errorf("%s: %v", d.URL, err)
		}
		cancel()
	}
}
