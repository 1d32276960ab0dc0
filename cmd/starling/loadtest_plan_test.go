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
	for arguments, why := range map[string]string{
		"--participants 1.5": "whole number", "--participants many": "whole number", "--scenario nowhere": "there is no scenario",
		"--gateways 2": "give --gateways, --owners and --stores", "--gateways 0 --owners 0 --stores 0": "each above 0", "--gateways -1 --owners 1 --stores 0": "each above 0",
		"--costs /nonexistent": "no such file", "--max-miss 2": "", "--max-miss 0": "--max-miss 0", "--busiest 0": "--busiest 0",
		"--rate 0": "--rate 0: nobody would act", "--rate -1": "--rate -1: nobody would act", "--together --rate 0": "--rate 0: nobody would act",
		"--deadline 0": "--deadline 0s: want a time above 0", "--deadline -1ms": "--deadline -1ms: want a time above 0", "--duration 0": "--duration 0s: want a time above 0",
		"--connections 0": "--connections 0: want 1 or more", "--density 0": "--density 0: want more than 0",
		"--together --gateways 2 --owners 1 --stores 1": "are not for --together",
	} {
		out, err := runPlan(t, strings.Fields(arguments)...)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v: %v, want %q: %s", arguments, err, why, out)
		}
	}
}

// A deployment of one's own says each bound that it exceeds.
func TestPlanSaysWhyADeploymentDoesNotHold(t *testing.T) {
	out, err := runPlan(t, "--scenario", "street", "--participants", "2000", "--rate", "0.5", "--duration", "1s",
		"--gateways", "2", "--owners", "1", "--stores", "1", "--connections", "900", "--busiest", "0.1%")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"does not hold", "a gateway has 1000 connections, more than 900", "gateways are busy for", "owners are busy for", "stores are busy for", "more than 0.1 %"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not said:\n%s", want, out)
		}
	}
}
