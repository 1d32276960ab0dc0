package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	annotatev1 "github.com/starling-vr/starling/api/annotate/v1"
)

func (s *testServer) dial(t *testing.T) annotatev1.AnnotationClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(s.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return annotatev1.NewAnnotationClient(conn)
}

func TestOneDocumentOverGRPC(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	c := s.dial(t)
	a, err := c.Annotate(t.Context(), &annotatev1.AnnotateRequest{Id: "1", Text: []byte(story), IncludeTokens: true, IncludeEmbedding: true, Store: true})
	if err != nil {
		t.Fatal(err)
	}
	_, j := s.post(t, "application/json", "/v1/annotate?include=tokens", `{"id":"1","text":`+quoted(story)+`}`)
	if a.GetId() != "1" || a.GetLanguage() != "en" || len(a.GetTokens()) != len(j.Tokens) || len(a.GetSentences()) != len(j.Sentences) ||
		len(a.GetEntities()) != len(j.Entities) || len(a.GetKeyphrases()) != len(j.Keyphrases) || len(a.GetEmbedding()) == 0 || a.Sentiment == nil || len(a.GetSummary()) != 1 {
		t.Errorf("%v\n%+v", a, j)
	}
	for i, k := range a.GetTokens() {
		if int(k.GetStart()) != j.Tokens[i].Start || int(k.GetEnd()) != j.Tokens[i].End || k.GetTag() != j.Tokens[i].Tag {
			t.Errorf("token %d: %v, %v as JSON", i, k, j.Tokens[i])
		}
	}
	if len(s.store.kept) != 1 || parse(t, s.store.kept[0]).ID != "1" {
		t.Errorf("kept %q", s.store.kept)
	}
	for _, w := range []struct {
		request *annotatev1.AnnotateRequest
		code    codes.Code
		problem string
	}{
		{&annotatev1.AnnotateRequest{Text: []byte("\xff")}, codes.InvalidArgument, "invalid"},
		{&annotatev1.AnnotateRequest{Text: []byte("x"), Workflow: "none"}, codes.InvalidArgument, "invalid"},
		{&annotatev1.AnnotateRequest{Text: []byte("x"), Format: 9}, codes.InvalidArgument, "invalid"},
		{&annotatev1.AnnotateRequest{Text: []byte("x"), Id: strings.Repeat("i", 300)}, codes.InvalidArgument, "invalid"},
		{&annotatev1.AnnotateRequest{Text: []byte(strings.Repeat("word ", 100_000)), Workflow: "impossible"}, codes.OutOfRange, "too_large"},
		{&annotatev1.AnnotateRequest{Text: make([]byte, 1<<20+1)}, codes.OutOfRange, "too_large"},
	} {
		_, err := c.Annotate(t.Context(), w.request)
		st := status.Convert(err)
		if st.Code() != w.code || len(st.Details()) != 1 || st.Details()[0].(*annotatev1.Problem).GetCode() != w.problem {
			t.Errorf("%.50v: %v %v", w.request, err, st.Details())
		}
	}
	a, err = c.Annotate(t.Context(), &annotatev1.AnnotateRequest{Text: []byte("panic"), Workflow: "bad"})
	if err != nil || a.GetError().GetCode() != "function_failed" || a.GetFunctions()["bad"] != "panicked" || !a.GetLate() {
		t.Errorf("%v %v", a, err)
	}
}

func TestStreamOverGRPC(t *testing.T) {
	s := start(t, testConfig(), Deps{})
	stream, err := s.dial(t).AnnotateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	go func() {
		for i := range n {
			flow := [...]string{"default", "bad", "none"}[i%3]
			if err := stream.Send(&annotatev1.AnnotateRequest{Id: fmt.Sprint(i), Text: []byte(story), Workflow: flow}); err != nil {
				t.Error(err)
			}
		}
		_ = stream.CloseSend()
	}()
	seen := map[string]bool{}
	for {
		a, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen[a.GetId()] = true
		if code := a.GetError().GetCode(); (code == "invalid") != (a.GetWorkflow() == "") {
			t.Errorf("%v", a)
		}
	}
	if len(seen) != n {
		t.Errorf("%d answers of %d", len(seen), n)
	}
}

func TestSubscriptionOverGRPC(t *testing.T) {
	s := start(t, testConfig(), Deps{Verify: func(token string, now time.Time) (Identity, error) {
		return Identity{Name: token, Scopes: []string{token}, Expires: now.Add(time.Hour)}, nil
	}})
	c := s.dial(t)
	as := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	}
	for _, w := range []struct {
		ctx  context.Context
		code codes.Code
	}{{t.Context(), codes.Unauthenticated}, {as("ada"), codes.PermissionDenied}} {
		refused, err := c.Subscribe(w.ctx, &annotatev1.SubscribeRequest{})
		if err == nil {
			_, err = refused.Recv()
		}
		if status.Code(err) != w.code {
			t.Errorf("%v", err)
		}
	}
	sub, err := c.Subscribe(as(SubscribeScope), &annotatev1.SubscribeRequest{Source: "news"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sub.Header(); err != nil { // it listens
		t.Fatal(err)
	}
	for _, source := range []string{"other", "news"} {
		if _, err := c.Annotate(as("ada"), &annotatev1.AnnotateRequest{Id: source, Text: []byte("hello there"), Source: source}); err != nil {
			t.Fatal(err)
		}
	}
	told, err := sub.Recv()
	if err != nil || told.GetAnnotations().GetId() != "news" || told.GetMissed() != 0 {
		t.Errorf("%v %v", told, err)
	}
	s.Close()
	if _, err := sub.Recv(); err == nil {
		t.Error("a subscription outlives the server")
	}
}
