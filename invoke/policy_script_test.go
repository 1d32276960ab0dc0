package invoke_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestPolicyScripts drives a Policy by the scripts in testdata/policy. Each opens
// with the fault that it guards against. A script is a list of blocks: commands,
// "----", what they are expected to print, an empty line.
func TestPolicyScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/policy/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	script := &policyScript{t: t, runs: map[string]*invoke.Run{}, keys: map[string]*invoke.Key{},
		keySets: map[string]*invoke.Keys{}, functions: map[string]*invoke.Function{}}
	var rewritten strings.Builder
	for i, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
		if i > 0 {
			rewritten.WriteString("\n\n")
		}
		commands, want, found := strings.Cut(block, "\n----")
		if !found {
			rewritten.WriteString(block)
			continue
		}
		var got strings.Builder
		for line := range strings.Lines(commands) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				for _, out := range script.do(line) {
					got.WriteString("\n" + out)
				}
			}
		}
		if !*update && got.String() != want {
			t.Errorf("%s\nprints%s\nbut expected is%s", commands, got.String(), want)
		}
		rewritten.WriteString(commands + "\n----" + got.String())
	}
	if *update {
		if err := os.WriteFile(file, []byte(rewritten.String()+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// policyScript interprets the commands. Times are counted from the start, which
// is one second on the policy's clock.
type policyScript struct {
	t         *testing.T
	policy    *invoke.Policy
	now       time.Duration
	runs      map[string]*invoke.Run
	keys      map[string]*invoke.Key
	keySets   map[string]*invoke.Keys
	functions map[string]*invoke.Function
}

func (s *policyScript) instant(d time.Duration) invoke.Instant {
	return invoke.Instant(time.Second + d)
}

// arguments splits a line into its words and its name=value options.
type arguments struct {
	t       *testing.T
	words   []string
	options map[string]string
}

func parseArguments(t *testing.T, line string) arguments {
	a := arguments{t, nil, map[string]string{}}
	for _, word := range strings.Fields(line) {
		if name, value, ok := strings.Cut(word, "="); ok {
			a.options[name] = value
		} else {
			a.words = append(a.words, word)
		}
	}
	return a
}

func (a arguments) duration(name string) time.Duration {
	if a.options[name] == "" {
		return 0
	}
	d, err := time.ParseDuration(a.options[name])
	if err != nil {
		a.t.Fatal(err)
	}
	return d
}

func (a arguments) number(name string) int {
	if a.options[name] == "" {
		return 0
	}
	n, err := strconv.Atoi(a.options[name])
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}

func (s *policyScript) do(line string) []string {
	a := parseArguments(s.t, line)
	commands := map[string]func(arguments) []string{
		"policy": s.newPolicy, "deploy": s.deploy, "undeploy": s.undeploy, "at": s.at,
		"submit": s.submit, "take": s.take, "finish": s.finish, "expire": s.expire,
		"close": s.closeKey, "abort": s.abort, "account": s.account,
	}
	command := commands[a.words[0]]
	if command == nil {
		s.t.Fatalf("unknown command %q", line)
	}
	a.words = a.words[1:]
	return command(a)
}

func (s *policyScript) newPolicy(a arguments) []string {
	s.policy = invoke.NewPolicy(invoke.Config{
		Workers: a.number("workers"), ShortWorkers: a.number("short"), Memory: int64(a.number("memory")),
		Random: rand.NewPCG(1, 2),
	}, s.instant(0))
	return nil
}

func (s *policyScript) deploy(a arguments) []string {
	spec := invoke.Spec{
		Name: a.words[0],
		Contract: invoke.Contract{
			Rate: float64(a.number("rate")), Burst: a.number("burst"), Deadline: a.duration("deadline"),
			Hard: a.options["hard"] != "", RunTime: a.duration("runtime"), Memory: int64(a.number("memory")),
		},
		Queue: invoke.Bounds{Count: a.number("count"), Excess: a.number("excess"), Age: a.duration("age")},
	}
	if name := a.options["keys"]; name != "" {
		if s.keySets[name] == nil {
			s.keySets[name] = s.policy.Keys(name, invoke.KeyOptions{MaxRun: a.number("maxrun")})
		}
		spec.Keys = s.keySets[name]
	}
	f, err := s.policy.Deploy(s.instant(s.now), spec)
	if err != nil {
		var out []string
		for _, shortage := range err.(*invoke.NotAdmittedError).Shortages {
			out = append(out, shortage.Resource+": "+shortage.Arithmetic)
		}
		return out
	}
	s.functions[spec.Name] = f
	return nil
}

func (s *policyScript) undeploy(a arguments) []string {
	s.policy.Undeploy(s.instant(s.now), s.functions[a.words[0]])
	return nil
}

func (s *policyScript) at(a arguments) []string {
	d, err := time.ParseDuration(a.words[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.now = d
	return nil
}

// submit FUNCTION NAME... [key=K] [sender=N] [deadline=INSTANT] [arrived=INSTANT]
func (s *policyScript) submit(a arguments) []string {
	f := s.functions[a.words[0]]
	var out []string
	for _, name := range a.words[1:] {
		inv := &invoke.Invocation{Payload: name, Sender: uint64(a.number("sender"))}
		if a.options["deadline"] != "" {
			inv.Deadline = s.instant(a.duration("deadline"))
		}
		if a.options["arrived"] != "" {
			inv.Arrived = s.instant(a.duration("arrived"))
		}
		if k := a.options["key"]; k != "" {
			if s.keys[k] == nil {
				set := s.keySets[a.options["of"]]
				if set == nil {
					set = s.keySets["shards"]
				}
				s.keys[k] = set.Open(k)
			}
			inv.Key = s.keys[k]
		}
		if r := s.policy.Submit(s.instant(s.now), f, inv); r != nil {
			out = append(out, fmt.Sprintf("%s: %s", name, describe(r)))
		}
	}
	return out
}

func describe(r *invoke.Refusal) string {
	out := "refused " + r.Reason.String()
	if r.Waited > 0 {
		out += fmt.Sprintf(" after %v", r.Waited)
	}
	if r.Retryable {
		return out + ", retryable"
	}
	return out + ", final"
}

func (s *policyScript) describeRun(worker string, run *invoke.Run) []string {
	out := worker + ":"
	if run.Key != nil {
		out += fmt.Sprintf(" [%v]", run.Key.Value())
	}
	for _, item := range run.Items {
		out += fmt.Sprintf(" %v", item.Invocation.Payload)
		if item.Refusal != nil {
			out += " (" + describe(item.Refusal) + ")"
		}
	}
	return []string{out}
}

func (s *policyScript) take(a arguments) []string {
	var out []string
	for _, worker := range a.words {
		run := new(invoke.Run)
		if !s.policy.Take(s.instant(s.now), run) {
			out = append(out, worker+": nothing")
			continue
		}
		s.runs[worker] = run
		out = append(out, s.describeRun(worker, run)...)
	}
	return out
}

// finish WORKER... [took=DURATION of each] [done=N]
func (s *policyScript) finish(a arguments) []string {
	for _, worker := range a.words {
		run := s.runs[worker]
		if run == nil {
			s.t.Fatalf("%s has nothing to finish", worker)
		}
		delete(s.runs, worker)
		done := len(run.Items)
		if a.options["done"] != "" {
			done = a.number("done")
		}
		for i := range run.Items[:done] {
			run.Items[i].Started = s.instant(s.now)
			if run.Items[i].Refusal == nil {
				s.now += a.duration("took")
			}
			run.Items[i].Ended = s.instant(s.now)
		}
		s.policy.Finished(s.instant(s.now), run, done)
	}
	return nil
}

func (s *policyScript) expire(arguments) []string {
	var out []string
	for run := new(invoke.Run); s.policy.Expire(s.instant(s.now), run); {
		out = append(out, s.describeRun("expired", run)...)
		s.policy.Finished(s.instant(s.now), run, len(run.Items))
	}
	return out
}

func (s *policyScript) closeKey(a arguments) []string {
	s.policy.CloseKey(s.keys[a.words[0]])
	return nil
}

func (s *policyScript) abort(arguments) []string {
	s.policy.Abort()
	return nil
}

func (s *policyScript) account(a arguments) []string {
	for _, f := range s.policy.Accounts(s.instant(s.now)).Functions {
		if f.Name != a.words[0] {
			continue
		}
		out := fmt.Sprintf("%s %s: submitted %d, guaranteed %d, ran %d, missed %d, waiting %d, running %d, busy %v, used %.3g GB s, reserved %.3g GB s and %.3g core s",
			f.Class, f.Shape, f.Submitted, f.Guaranteed, f.Invocations, f.Misses, f.Waiting, f.Running, f.Busy,
			f.Used, f.ReservedMemory, f.ReservedCores)
		for _, r := range invoke.Reasons() {
			if n := f.Refusals[r]; n > 0 {
				out += fmt.Sprintf(", %s %d", r, n)
			}
		}
		return []string{out}
	}
	return []string{"no such function"}
}
