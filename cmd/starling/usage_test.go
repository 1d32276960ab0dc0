package main

import (
	"strings"
	"testing"
)

func TestACommandLineThatIsNotUnderstoodIsExplained(t *testing.T) {
	for line, want := range map[string]string{
		"frob":                        "there are",
		"serv":                        `did you mean "serve"?`,
		"shards lst":                  `did you mean "list"?`,
		"serve --role owner":          `did you mean "roles"?`,
		"dev --crowd many":            "starling dev --help",
		"token create --frobnicate x": "starling token create --help lists all",
		"config":                      "",
	} {
		out, err := run("", strings.Fields(line)...)
		switch {
		case want == "" && (err != nil || !strings.Contains(out, "defaults")):
			t.Errorf("%s: %q, %v", line, out, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--help") && !strings.Contains(err.Error(), "did you mean")):
			t.Errorf("%s: %v", line, err)
		}
	}
}
