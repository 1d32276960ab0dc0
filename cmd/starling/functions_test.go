package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

func TestFunctionsAreListedAndDescribed(t *testing.T) {
	t.Parallel()
	_, listen, peer := serve(t, "--set", "store.kind=memory", "--set", "functions.speak.rate=123")
	token, err := run("", "token", "create", "Ada", "--key", testKey)
	if err != nil {
		t.Fatal(err)
	}
	ada := join(t, "http://"+listen+"/", strings.TrimSpace(token), starling.Options{})
	spoken(t, ada, "good morning")
	list, err := run("", "functions", "list", "--peer", peer, "--over", "10ms")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^FUNCTION +NODE +SHAPE +CLASS +CONTRACT +RUNS/S .* USED GB S +R GB S +R CORE S$`,
		`(?m)^speak +\S+ +keyed +soft +123/s within 4ms +.* \d+\.\d\d% of 1% `,
		`(?m)^actions.refusal +\S+ +keyed +best_effort +none `,
	} {
		if !regexp.MustCompile(want).MatchString(list) {
			t.Errorf("%s is not in\n%s", want, list)
		}
	}
	said, err := run("", "functions", "describe", "speak", "--peer", peer, "--over", "10ms")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"keyed, soft", "123/s within 4ms", "at most 1% late, run time 20µs, 4096 bytes a run", "run time  ", "core s"} {
		if !strings.Contains(said, want) {
			t.Errorf("%s is not in\n%s", want, said)
		}
	}
	if !regexp.MustCompile(`(?m)^  run +[1-9]`).MatchString(said) {
		t.Errorf("nothing ran:\n%s", said)
	}
	if _, err := run("", "functions", "describe", "speek", "--peer", peer, "--over", "10ms"); err == nil || !strings.Contains(err.Error(), `did you mean "speak"?`) {
		t.Error(err)
	}
	if _, err := run("", "functions", "list", "--peer", peer, "--over", "0s"); err == nil {
		t.Error("no time to measure")
	}
	if status, body := fetch(t, "http://"+listen+"/functions"); status != 200 || !strings.Contains(body, `"name":"speak"`) && !strings.Contains(body, `"name": "speak"`) {
		t.Errorf("%d %.200s", status, body)
	}
}

func TestPartsAreNamedByWhatTheyAreOf(t *testing.T) {
	var b strings.Builder
	seen := seenFunctions{before: new(clusterv1.ListFunctionsReply), now: &clusterv1.ListFunctionsReply{Functions: []*clusterv1.FunctionStatus{
		{Name: "annotate.default/parse", PartOf: "annotate.default"}, {Name: "chain", PartOf: "trigger"},
	}}}
	if err := seen.list(&b); err != nil || !strings.Contains(b.String(), "\nannotate.default/parse ") || !strings.Contains(b.String(), "\ntrigger/chain ") {
		t.Errorf("%v\n%s", err, &b)
	}
}

func TestTimesHaveThreeDigits(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "999ns": 999, "1.23µs": 1234, "12.3µs": 12345, "1.23ms": 1234567, "4ms": 4 * time.Millisecond, "1m0s": time.Minute,
	} {
		if got := duration(d.Seconds()); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
