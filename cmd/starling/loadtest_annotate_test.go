package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/annotate"
)

// TestGuaranteesOfSyntheticFunctions: the run times that the help names are admitted, and
// those that are not say which would be.
func TestGuaranteesOfSyntheticFunctions(t *testing.T) {
	for _, c := range []struct {
		arguments string
		admitted  bool
	}{{guaranteeable, true}, {guaranteeable + " --functions 8", true}, {"", false}} {
		for _, seed := range []uint64{1, 2, 3, 4, 5, 6, 7} {
			o := annotateOptions{functionShare: shares{0.1, 0.9}, workflowShare: shares{0.5, 0.95}}
			cmd := new(cobra.Command)
			o.flags(cmd)
			if err := cmd.ParseFlags(append(strings.Fields(c.arguments), "--synthetic", "--guarantee", "20", "--duration", "1s")); err != nil {
				t.Fatal(err)
			}
			words, err := annotate.ParseWords(o.words)
			if err != nil {
				t.Fatal(err)
			}
			_, end, err := o.local(&annotate.Spec{Deadline: o.deadline, Words: words, Seed: seed}, 2)
			if (err == nil) != c.admitted || err != nil && !strings.Contains(err.Error(), guaranteeable) {
				t.Errorf("%q, seed %d: %v", c.arguments, seed, err)
			}
			if err == nil {
				if err := end(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestAPrecisionOfNothingIsRefused(t *testing.T) {
	if _, err := run("", "loadtest", "annotate", "--synthetic", "--find-limit", "--precision", "0"); err == nil || !strings.Contains(err.Error(), "--precision 0%: want 0.5% or more") {
		t.Error(err)
	}
}
