package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
	for _, want := range []string{"keyed, soft", "123/s within 4ms", "at most 1% late", "takes 20µs (99th percentile), 4096 bytes", "run time  ", "core s"} {
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
	if err := seen.list(&b, 0); err != nil || !strings.Contains(b.String(), "\nannotate.default/parse ") || !strings.Contains(b.String(), "\ntrigger/chain ") {
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

// On a narrow terminal the table keeps to its lines: what matters least is left out, and
// said to be.
func TestTheListFitsTheTerminal(t *testing.T) {
	status := func(name string) *clusterv1.FunctionStatus {
		return &clusterv1.FunctionStatus{
			Name: name, Node: "gateway-and-owner-1", Shape: "stream", Class: "soft", Contract: &clusterv1.FunctionContract{Rate: 20000, DeadlineSeconds: 0.004, MissTarget: 0.01},
			Guaranteed: 100, GuaranteedMisses: 1, QueueSeconds: &clusterv1.Quantiles{Count: 1, P50: 12.3e-6, P99: 4.56e-3}, RunSeconds: &clusterv1.Quantiles{Count: 1, P50: 12.3e-6, P99: 4.56e-3},
			UsedGbS: 1.23e-6, ReservedGbS: 1.23e-6, ReservedCoreS: 1.23e-6,
		}
	}
	seen := seenFunctions{before: new(clusterv1.ListFunctionsReply), now: &clusterv1.ListFunctionsReply{
		Functions: []*clusterv1.FunctionStatus{status("annotate.analysis/keyphrases"), status("TNN_inference")},
	}}
	for width, want := range map[int]string{0: "R CORE S", 80: "more columns: --wide", 120: "R CORE S", 20: "MISSED"} {
		var b strings.Builder
		if err := seen.list(&b, width); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%d: no %s, %v:\n%s", width, want, err, &b)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		for _, line := range lines[:3] {
			if long := utf8.RuneCountInString(line); width >= 80 && long > width {
				t.Errorf("%d: %d characters:\n%s", width, long, line)
			}
		}
		if all := strings.Contains(b.String(), "GB S"); (width == 0) != (all && !strings.Contains(b.String(), "--wide")) {
			t.Errorf("%d:\n%s", width, &b)
		}
	}
}

func TestAFunctionIsKnownByItsNameInTheWorkflow(t *testing.T) {
	known := []string{"annotate.default/parse", "annotate.moderation", "speak"}
	for name, want := range map[string]string{"moderation": `did you mean "annotate.moderation"?`, "parse": `did you mean "annotate.default/parse"?`, "speek": `did you mean "speak"?`, "tion": "functions list"} {
		if got := noFunction(name, known).Error(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
