package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// stages say which samples of a CPU profile belong to which stage of an action:
// the first whose pattern is found anywhere in the stack.
var stages = []struct {
	name  string
	stack *regexp.Regexp
}{
	{"collector", regexp.MustCompile(`gcBgMarkWorker|gcAssist|bgsweep|bgscavenge|gcStart`)},
	{"write", regexp.MustCompile(`conn\.\(\*(socket|polled|BatchWriter)\)\.(Write|put)`)},
	{"flush", regexp.MustCompile(`hub\.\(\*Hub\)\.flush`)},
	{"hub", regexp.MustCompile(`hub\.\(\*Hub\)|hub\.\(\*table\)`)},
	{"publish", regexp.MustCompile(`/pubsub|regions\.\(\*follow`)},
	{"outcome", regexp.MustCompile(`gateway\.\(\*edge\)|gateway\.\(\*session\)\.outcome`)},
	{"encode", regexp.MustCompile(`shard\.\(\*Shard\)\.(encode|[sS]eal)`)},
	{"commit", regexp.MustCompile(`actions\.\(\*served\)\.(committed|appended|speak|settle)|world/(memory|redis|embedded)`)},
	{"function", regexp.MustCompile(`/shard\.|actions\.runWork`)},
	{"invoke", regexp.MustCompile(`/invoke\.`)},
	{"route", regexp.MustCompile(`gateway\.\(\*session\)\.act|/regions\.`)},
	{"decode", regexp.MustCompile(`gateway\.decode|UnmarshalVT`)},
	{"read", regexp.MustCompile(`conn\.\(\*(socket|poll(ed|er))\)|gateway\.\(\*connection\)`)},
	{"scheduler", regexp.MustCompile(`runtime\.(mcall|park_m|schedule|findRunnable|mstart|goexit0|netpoll|sysmon)`)},
	{"other", regexp.MustCompile(``)},
}

// byStage reads a profile of this binary, less another if one is given, and gives
// what each stage has of a sample index of pprof's, in seconds, objects or bytes.
func byStage(b *testing.B, profile, index string, before ...string) map[string]float64 {
	b.Helper()
	arguments := []string{"tool", "pprof", "-traces", "-sample_index=" + index, "-unit=" + units[index]}
	for _, file := range before {
		arguments = append(arguments, "-base="+file)
	}
	arguments = append(arguments, os.Args[0], profile)
	out, err := exec.Command("go", arguments...).Output()
	if err != nil {
		b.Fatal(err)
	}
	sums := make(map[string]float64)
	for _, stack := range regexp.MustCompile(`-+\+-+\n`).Split(string(out), -1)[1:] {
		amount := sampled.FindStringSubmatch(stack)
		if amount == nil {
			continue
		}
		value, err := strconv.ParseFloat(amount[1], 64)
		if err != nil {
			b.Fatalf("%s of %s: %v", index, profile, err)
		}
		for _, stage := range stages {
			if stage.stack.MatchString(stack) {
				sums[stage.name] += value
				break
			}
		}
	}
	return sums
}

// units of the sample indexes.
var units = map[string]string{"cpu": "s", "alloc_objects": "", "alloc_space": "B"}

// sampled finds the number that a stack begins with; labels may come before.
var sampled = regexp.MustCompile(`(?m)^ *(-?[0-9.]+)(?:s|B)? {3,}\S`)

// shares divides by the sum.
func shares(sums map[string]float64) map[string]float64 {
	all := 0.0
	for _, value := range sums {
		all += value
	}
	for name := range sums {
		sums[name] /= all
	}
	return sums
}
