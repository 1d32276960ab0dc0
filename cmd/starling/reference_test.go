package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/internal/reference"
	"github.com/starling-vr/starling/internal/server"
)

//go:generate go test -run ^TestReference -update .

func upToDate(t *testing.T, page, want string) {
	t.Helper()
	reference.UpToDate(t, page, reference.Head+want)
}

func TestReferenceOfTheConfiguration(t *testing.T) {
	settings, err := server.Load(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	upToDate(t, "configuration.md", `# Configuration

All settings of a process. They come from a TOML file (`+"`--config`"+`), the environment and `+"`--set section.key=value`"+`, the later winning. Unknown keys are errors.
`+"`starling config defaults`"+` prints them as a commented file, `+"`starling config check`"+` says what is wrong with yours.

Durations are written like `+"`4ms`, `1.5s`, `2m`"+`; lists in the environment and in `+"`--set`"+` are separated by commas.
`+config.Reference(settings))
}

func TestReferenceOfTheCommands(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Commands\n")
	describe(&b, root())
	upToDate(t, "command-line.md", b.String())
}

// describe writes a command and those below it.
func describe(b *strings.Builder, c *cobra.Command) {
	if c.Runnable() && !isGroup(c) {
		fmt.Fprintf(b, "\n## %s\n\n%s.\n\n    %s\n", c.CommandPath(), strings.TrimSuffix(c.Short, "."), c.UseLine())
		if c.Long != "" {
			fmt.Fprintf(b, "\n%s\n", c.Long)
		}
		if c.Example != "" {
			fmt.Fprintf(b, "\nFor example:\n\n%s\n", regexp.MustCompile(`(?m)^ *`).ReplaceAllString(c.Example, "    "))
		}
		head := "\n| Flag | Default | Meaning |\n| --- | --- | --- |\n"
		each := func(f *pflag.Flag) {
			value := f.DefValue
			if value == "[]" {
				value = ""
			}
			if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(b, "%s| `--%s` | %s | %s |\n", head, f.Name, value, f.Usage)
			head = ""
		}
		c.NonInheritedFlags().VisitAll(each)
		c.InheritedFlags().VisitAll(each)
	}
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			describe(b, below)
		}
	}
}

// metric is a metric of a running process.
type metric struct {
	name, kind, help string
	labels           []string
}

// metrics gives all metrics of a process with all roles and the Redis bus,
// after some life in it.
func metrics(t *testing.T) []metric {
	t.Helper()
	settings, err := server.Load(config.Sources{Set: []string{
		"listen=127.0.0.1:0", "auth.key=" + testKey, "gateway.drain_time=100ms", "bus.kind=redis", "region.roles=gateway,owner,annotate,trigger", "annotate.keep=1000", "trigger.archive.directory=" + t.TempDir(),
		"store.redis.addresses=" + redistest.Start(t, redisproc.Options{}).Address(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(t.Context(), settings, server.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	spoken(t, join(t, "http://"+s.Address(), mint(t, testKey, "speaker"), starling.Options{}), "life")
	kinds := map[string]string{}
	families, err := s.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(dto.MetricType_name[int32(f.GetType())])
	}
	return described(t, s.Metrics(), kinds)
}

func described(t *testing.T, registry *prometheus.Registry, kinds map[string]string) []metric {
	t.Helper()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descriptions)
		close(descriptions)
	}()
	fields := regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)"(?:, unit: "[^"]*")?, constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}.*\}$`)
	var read []*prometheus.Desc
	for d := range descriptions {
		read = append(read, d)
	}
	var all []metric
	for _, d := range read {
		f := fields.FindStringSubmatch(d.String())
		if f == nil {
			t.Fatalf("cannot read %s", d)
		}
		m := metric{name: f[1], kind: kinds[f[1]], help: strings.ReplaceAll(f[2], `\"`, `"`)}
		if f[3] != "" {
			m.labels = strings.Split(f[3], ",")
		}
		if m.kind == "" && strings.HasSuffix(m.name, "_total") {
			m.kind = "counter" // nothing was counted yet
		}
		if !strings.HasPrefix(m.name, "go_") && !strings.HasPrefix(m.name, "process_") {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b metric) bool { return a.name == b.name })
}

func TestReferenceOfTheMetrics(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Metrics\n\nEvery process serves them at `/metrics` of its `listen` address, in Prometheus's text format; those of a role that it has not are missing. " +
		"`starling_pubsub_redis_…` are there with `bus.kind = \"redis\"`.\nBesides these there are the usual `go_…` and `process_…`.\n\n")
	tabulate(t, &b, metrics(t))
	upToDate(t, "metrics.md", b.String())
}

// tabulate writes a table of metrics.
func tabulate(t *testing.T, b *strings.Builder, all []metric) {
	b.WriteString("| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range all {
		m.rules(t)
		labels := ""
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, strings.ReplaceAll(m.help, "|", `\|`))
	}
}

// rules holds the names to Prometheus's conventions, and the number of series
// to a bound that does not grow with the world.
func (m metric) rules(t *testing.T) {
	t.Helper()
	if !strings.HasPrefix(m.name, "starling_") {
		t.Errorf("%s does not start with starling_", m.name)
	}
	if m.kind == "" {
		t.Errorf("%s has no value and no type: let the process live through what it counts", m.name)
	}
	if (m.kind == "counter") != strings.HasSuffix(m.name, "_total") {
		t.Errorf("%s is a %s: counters, and only they, end in _total", m.name, m.kind)
	}
	if regexp.MustCompile(`_(ms|us|ns|milliseconds|microseconds|minutes|kb|mb|kilobytes|megabytes|percent)(_|$)`).MatchString(m.name) {
		t.Errorf("%s: want base units (seconds, bytes, ratios)", m.name)
	}
	if !strings.HasSuffix(m.help, ".") {
		t.Errorf("%s: its help %q is no sentence", m.name, m.help)
	}
	for _, l := range m.labels {
		if slices.Contains([]string{"cell", "shard", "participant", "session", "entity", "place", "address"}, l) {
			t.Errorf("%s has the label %s: its series would grow with the world", m.name, l)
		}
	}
}
