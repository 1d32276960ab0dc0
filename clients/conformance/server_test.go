package conformance_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/clients/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAMisbehavingClientFails: a client whose Hello lacks the token is found out.
func TestAMisbehavingClientFails(t *testing.T) {
	for token, passes := range map[string]bool{"t1": true, "other": false} {
		scenario, err := conformance.Parse("hello", []byte(`{"name": "hello", "about": "", "steps": [
			{"command": {"op": "connect"}}, {"accept": {"hello": {"token": "t1"}}}, {"drop": true}]}`))
		if err != nil {
			t.Fatal(err)
		}
		server := conformance.NewServer([]conformance.Scenario{scenario})
		url, stop, err := server.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var begun struct{ Run, URL string }
		post(t, url+"/runs", `{"scenario": "hello"}`, &begun)
		result := play(t, url, begun.Run, begun.URL, token)
		if result.Passed != passes {
			t.Errorf("token %q: %+v", token, result)
		}
		stop()
		server.Wait()
	}
}

// play is the smallest runner: it connects, says Hello and asks for the verdict.
func play(t *testing.T, control, run, url, token string) conformance.Result {
	type answer struct {
		Command json.RawMessage
		End     *conformance.Result
	}
	var connect, end answer
	post(t, control+"/runs/"+run+"/next", `{}`, &connect)
	if connect.Command == nil {
		t.Fatal("no command came")
	}
	said := make(chan error, 1)
	go func() {
		ws, _, err := (&websocket.Dialer{Subprotocols: []string{"starling.v1.proto"}}).Dial(url, nil)
		if err == nil {
			defer ws.Close()
			hello := &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: &starlingv1.Hello{Token: token}}}
			data, _ := hello.MarshalVT()
			err = ws.WriteMessage(websocket.BinaryMessage, data)
			_, _, _ = ws.ReadMessage() // until the server cuts the connection
		}
		said <- err
	}()
	post(t, control+"/runs/"+run+"/next", `{"reply": {}}`, &end)
	if err := <-said; err != nil {
		t.Error(err)
	}
	if end.End == nil {
		t.Fatal("no verdict came")
	}
	return *end.End
}

func post(t *testing.T, url, body string, into any) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Post(url, "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(`{"a":{"$near":1,"$within":2}}`, `{"a":1}`)
	f.Add(`[{"$not":{"$absent":true}}]`, `[0]`)
	f.Fuzz(func(t *testing.T, pattern, value string) {
		_ = conformance.Match(json.RawMessage(pattern), json.RawMessage(value)) // must not panic
	})
}
