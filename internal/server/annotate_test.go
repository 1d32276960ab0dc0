package server

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/starling-vr/starling/actions"
	annotatev1 "github.com/starling-vr/starling/api/annotate/v1"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/config"
)

// TestAnnotateRole: a process with the role alone annotates over HTTP and gRPC, on one
// listener, for who has a token.
func TestAnnotateRole(t *testing.T) {
	key := NewKey()
	settings, err := Load(config.Sources{Set: []string{
		"listen=127.0.0.1:0", "store.kind=memory", "auth.key=" + key, "region.roles=annotate", "log.level=error",
	}})
	if err != nil {
		t.Fatal(err)
	}
	log, err := settings.Log.Logger(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), settings, Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	token, err := auth.Mint([]byte(key), "ada", nil, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token  string
		status int
	}{{token, 200}, {"bad", 401}} {
		q, _ := http.NewRequest("POST", "http://"+s.Address()+"/v1/annotate?workflow=analysis", strings.NewReader("Maria Lopez went to Paris."))
		q.Header.Set("Content-Type", "text/plain")
		q.Header.Set("Authorization", "Bearer "+c.token)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != c.status || c.status == 200 && !strings.Contains(string(body), `"code":"en"`) {
			t.Errorf("%d %s", r.StatusCode, body)
		}
	}
	r, err := http.Get("http://" + s.Address() + "/v1/other")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	r.Body.Close()
	if r.StatusCode != http.StatusNotFound || !strings.Contains(string(body), `"code":"not_found"`) {
		t.Errorf("a path that is not there: %d %s", r.StatusCode, body)
	}
	conn, err := grpc.NewClient("passthrough:///"+s.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := annotatev1.NewAnnotationClient(conn)
	request := &annotatev1.AnnotateRequest{Text: []byte("Maria Lopez went to Paris."), Workflow: "analysis"}
	if _, err := client.Annotate(t.Context(), request); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	answer, err := client.Annotate(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token), request)
	if err != nil || answer.GetLanguage() != "en" {
		t.Errorf("%v %v", answer, err)
	}
}

// TestWorkersOfRoles: annotation has workers of its own beside actions, and all alone.
func TestWorkersOfRoles(t *testing.T) {
	for _, c := range []struct {
		roles       string
		short, long int
	}{
		{"owner,gateway", 0, 0}, {"owner,gateway,annotate", 0, 3}, {"gateway,annotate", -1, 0}, {"annotate", -1, 0},
	} {
		settings, err := Load(config.Sources{Set: []string{"region.roles=" + c.roles, "owner.workers=3"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := settings.scheduler(); got.Workers != 3 || got.ShortWorkers != c.short || got.LongWorkers != c.long {
			t.Errorf("%s: %+v", c.roles, got)
		}
	}
}

func TestNiceIsForAProcessOfItsOwn(t *testing.T) {
	for roles, want := range map[string]bool{"annotate": true, "gateway,annotate": false} {
		settings, err := Load(config.Sources{Set: []string{"region.roles=" + roles, "annotate.nice=5", "store.kind=memory", "auth.key=" + NewKey()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := settings.Check(); (err == nil) != want {
			t.Errorf("%s: %v", roles, err)
		}
	}
}

// TestWorkflowsAreCheckedAsTheyWillBeDeployed: what a start would refuse, a check does.
func TestWorkflowsAreCheckedAsTheyWillBeDeployed(t *testing.T) {
	const step = "[[workflow.step]]\nfunction = \"entities\"\n"
	for text, want := range map[string]string{
		"[[workflow]]\nname = \"m\"\n" + step:                                  "",
		"[[workflow]]\nname = \"m\"\n" + step + "when = { topic = [\"a\"] }\n": "topic",
		"[[workflow]]\nname = \"m\"\nhard = true\nrate = 900000.0\n" + step:    "900000/s x",
		"[[workflow]]\nname = \"m\"\ndeadline = \"10us\"\nrate = 1.0\n" + step: "critical_path",
	} {
		path := filepath.Join(t.TempDir(), "flows.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, roles := range []string{"annotate", "gateway,owner,annotate"} {
			settings, err := Load(config.Sources{Set: []string{"region.roles=" + roles, "annotate.workflows=" + path, "store.kind=memory", "auth.key=" + NewKey(), "owner.workers=2"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := settings.CheckWith(actions.NewRegistry(), nil); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s\n%s: got %v, want %s", roles, text, err, want)
			}
		}
	}
}
