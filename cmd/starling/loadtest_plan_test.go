package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/starling-vr/starling/loadtest/plan"
)

func runPlan(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	cmd := planCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(arguments)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestPlanAnswers(t *testing.T) {
	out, err := runPlan(t, "--scenario", "street", "--participants", "2e3", "--rate", "0.5", "--duration", "1s", "--json", "-")
	if err != nil {
		t.Fatal(err)
	}
	var answer plan.Answer
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Format != plan.AnswerFormat || answer.Participants != 2000 || answer.Deployment.Gateways < 1 || answer.Affected.Mean != 8 {
		t.Errorf("%+v", answer)
	}
	out, err = runPlan(t, "--scenario", "street", "--participants", "400", "--rate", "0.5", "--duration", "1s", "--gateways", "2", "--owners", "2", "--stores", "1")
	if err != nil || !strings.Contains(out, "gateways") || !strings.Contains(out, "2 of 4 cores") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPlanPredictsARunOnOneMachine(t *testing.T) {
	out, err := runPlan(t, "--together", "--scenario", "sparse", "--participants", "100", "--duration", "1s", "--json", "-")
	if err != nil {
		t.Fatal(err)
	}
	var prediction plan.Prediction
	if err := json.Unmarshal([]byte(out), &prediction); err != nil || prediction.Offered < 700 || prediction.ServerUS <= 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPlanRefuses(t *testing.T) {
	for _, arguments := range [][]string{
		{"--participants", "1.5"}, {"--participants", "many"}, {"--scenario", "nowhere"}, {"--gateways", "2"}, {"--costs", "/nonexistent"}, {"--max-miss", "2"},
	} {
		if out, err := runPlan(t, arguments...); err == nil {
			t.Errorf("%v was taken: %s", arguments, out)
		}
	}
}
