package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/internal/server"
)

func deployed(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkNames wants every metric in a text to be one that processes show.
func checkNames(t *testing.T, where, text, known string) {
	t.Helper()
	found := regexp.MustCompile(`\bstarling_[a-z_]+`).FindAllString(text, -1)
	if len(found) == 0 {
		t.Errorf("%s names no metrics", where)
	}
	for _, name := range found {
		base := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
		if !strings.Contains(known, "`"+name+"`") && !strings.Contains(known, "`"+base+"` | histogram") {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
}

func TestAlertsAndDashboardsNameMetricsThatExist(t *testing.T) {
	known, err := os.ReadFile("../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../../docs/how-to/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := deployed(t, "prometheus/rules.yaml")
	checkNames(t, "rules.yaml", rules, string(known))
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(string(guide), alert[1]) {
			t.Errorf("docs/how-to/operate.md does not say what to do about %s", alert[1])
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(deployed(t, "grafana/starling.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			if strings.Contains(target.Expr, "starling_") {
				checkNames(t, panel.Title, target.Expr, string(known))
			}
			if strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") {
				t.Errorf("%s: %s", panel.Title, target.Expr)
			}
		}
	}
}

// with gives the settings of a file to a server of a test, less its addresses
// and directories.
func with(t *testing.T, settings string) redisproc.Options {
	t.Helper()
	text := regexp.MustCompile(`(?m)^(bind|port|dir) .*$`).ReplaceAllString(deployed(t, "redis/"+settings), "")
	return redisproc.Options{Arguments: []string{"--include", file(t, text)}}
}

func TestRedisSettingsKeepWhatTheirDurabilityPromises(t *testing.T) {
	t.Parallel()
	memory := redistest.Start(t, with(t, "memory.conf")).Address()
	disk := redistest.Start(t, with(t, "disk.conf")).Address()
	replicated := redistest.StartCluster(t, 3, 1, with(t, "replicated.conf")).Addresses()
	starts := func(durability string, more ...string) error {
		settings, err := server.Load(config.Sources{Set: append(more,
			"listen=127.0.0.1:0", "auth.key="+testKey, "store.durability="+durability, "gateway.drain_time=100ms")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := server.Start(ctx, settings, server.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return s.Stop()
	}
	if err := starts("memory", "store.redis.addresses="+memory); err != nil {
		t.Errorf("memory.conf: %v", err)
	}
	if err := starts("disk", "store.redis.addresses="+disk); err != nil {
		t.Errorf("disk.conf: %v", err)
	}
	if err := starts("replicated", "store.redis.cluster=true", "store.redis.addresses="+strings.Join(replicated, ",")); err != nil {
		t.Errorf("replicated.conf: %v", err)
	}
	if err := starts("disk", "store.redis.addresses="+memory); err == nil || !strings.Contains(err.Error(), "appendonly") {
		t.Errorf("memory.conf at durability disk: %v", err)
	}
}

func TestTheUnitFileIsSound(t *testing.T) {
	path, err := exec.LookPath("systemd-analyze")
	unit := deployed(t, "systemd/starling@.service")
	if err != nil {
		t.Log("systemd-analyze is not here: only the command lines are checked")
	} else {
		out, _ := exec.CommandContext(t.Context(), path, "verify", "../../deploy/systemd/starling@.service").CombinedOutput()
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			if strings.Contains(line, "starling@") && !strings.Contains(line, "/usr/bin/starling is not executable") {
				t.Error(line)
			}
		}
	}
	for _, line := range regexp.MustCompile(`(?m)^Exec\w+=/usr/bin/starling (.*)$`).FindAllStringSubmatch(unit, -1) {
		commandExists(t, strings.Fields(line[1]))
	}
	compose := deployed(t, "compose/compose.yaml")
	for _, line := range regexp.MustCompile(`(?m)^ +command: (serve .*)$`).FindAllStringSubmatch(compose, -1) {
		commandExists(t, strings.Fields(line[1]))
	}
}

// commandExists wants a command line to have a command, and flags that it takes.
func commandExists(t *testing.T, arguments []string) {
	t.Helper()
	cmd, rest, err := root().Find(arguments)
	if err != nil || !cmd.Runnable() {
		t.Errorf("%v: %v", arguments, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%v: %v", arguments, err)
	}
}
