package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// stages say which samples of a CPU profile belong to which stage of an action:
// the first whose pattern is found anywhere in the stack.
var stages = []struct {
	name  string
	stack *regexp.Regexp
}{
	{"collector", regexp.MustCompile(`gcBgMarkWorker|gcAssist|bgsweep|bgscavenge|gcStart`)},
	{"write", regexp.MustCompile(`conn\.\(\*(socket|polled)\)\.(Write|put)`)},
	{"flush", regexp.MustCompile(`hub\.\(\*Hub\)\.flush`)},
	{"hub", regexp.MustCompile(`hub\.\(\*Hub\)|hub\.\(\*table\)`)},
	{"publish", regexp.MustCompile(`/pubsub|regions\.\(\*follow`)},
	{"outcome", regexp.MustCompile(`gateway\.\(\*edge\)|gateway\.\(\*session\)\.outcome`)},
	{"encode", regexp.MustCompile(`shard\.\(\*Shard\)\.(encode|[sS]eal)`)},
	{"commit", regexp.MustCompile(`actions\.\(\*served\)\.(commit|append)|world/memory`)},
	{"function", regexp.MustCompile(`/shard\.|actions\.runWork`)},
	{"invoke", regexp.MustCompile(`/invoke\.`)},
	{"route", regexp.MustCompile(`gateway\.\(\*session\)\.act|/regions\.`)},
	{"decode", regexp.MustCompile(`gateway\.decode|UnmarshalVT`)},
	{"read", regexp.MustCompile(`conn\.\(\*(socket|poll(ed|er))\)|gateway\.\(\*connection\)`)},
	{"scheduler", regexp.MustCompile(`runtime\.(mcall|park_m|schedule|findRunnable|mstart|goexit0|netpoll|sysmon)`)},
	{"other", regexp.MustCompile(``)},
}

// byStage reads a CPU profile of this binary and gives each stage's share.
func byStage(b *testing.B, profile string) map[string]float64 {
	b.Helper()
	out, err := exec.Command("go", "tool", "pprof", "-traces", os.Args[0], profile).Output()
	if err != nil {
		b.Fatal(err)
	}
	shares, all := make(map[string]float64), 0.0
	for _, stack := range regexp.MustCompile(`-+\+-+\n`).Split(string(out), -1)[1:] {
		fields := strings.Fields(stack)
		if len(fields) == 0 {
			continue
		}
		spent, err := time.ParseDuration(fields[0])
		if err != nil {
			continue
		}
		for _, stage := range stages {
			if stage.stack.MatchString(stack) {
				shares[stage.name] += spent.Seconds()
				break
			}
		}
		all += spent.Seconds()
	}
	for name := range shares {
		shares[name] /= all
	}
	return shares
}
