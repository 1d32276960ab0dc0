package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "starling.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrintedDefaultsAreGoodSettings(t *testing.T) {
	text, err := run("", "config", "defaults")
	if err != nil {
		t.Fatal(err)
	}
	out, err := run("", "config", "check", "--config", file(t, text), "--set", "auth.key="+testKey)
	if err != nil || out != "ok\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := run("", "config", "check", "--config", file(t, text)); err == nil || !strings.Contains(err.Error(), "auth") {
		t.Errorf("without a key: %v", err)
	}
}

func TestConfigCheckNamesTheNearestKey(t *testing.T) {
	check := func(want string, arguments ...string) {
		t.Helper()
		_, err := run("", append([]string{"config", "check", "--set", "auth.key=" + testKey}, arguments...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", arguments, err, want)
		}
	}
	check(`did you mean "gateway.flush_share"?`, "--config", file(t, "[gateway]\nflush_shar = \"1ms\"\n"))
	check(`did you mean "store.redis.addresses"?`, "--set", "store.redis.adresses=127.0.0.1:6379")
	check("starling config defaults", "--set", "something.else=1")
	check(`store: kind "paper"`, "--set", "store.kind=paper")
	check("no such file", "--config", filepath.Join(t.TempDir(), "none.toml"))
	check("line 1", "--config", file(t, "listen = nowhere\n"))
	check("no such file", filepath.Join(t.TempDir(), "none.toml"))
	check("name one", file(t, ""), "--config", file(t, ""))
	check("none.toml", "--set", "annotate.workflows="+filepath.Join(t.TempDir(), "none.toml"))
	check(`there is no function "speach"`, "--roles", "annotate", "--set", "annotate.workflows="+file(t, "[[workflow]]\nname = \"m\"\n[[workflow.step]]\nfunction = \"speach\"\n"))
	check(`role "cook"`, file(t, ""), "--roles", "owner,cook")
	t.Setenv("STARLING_LOG_LEVL", "warn")
	check(`did you mean "STARLING_LOG_LEVEL"?`)
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("STARLING_AUTH_KEY", testKey)
	t.Setenv("STARLING_STORE_KIND", "memory")
	if out, err := run("", "config", "check"); err != nil || out != "ok\n" {
		t.Errorf("got %q, %v", out, err)
	}
	t.Setenv("STARLING_OWNER_REACH", "far")
	if _, err := run("", "config", "check"); err == nil || !strings.Contains(strings.ToLower(err.Error()), "owner.reach") {
		t.Errorf("a number that is none: %v", err)
	}
}

func TestVersionNamesItself(t *testing.T) {
	if out, err := run("", "version"); err != nil || !strings.HasPrefix(out, "starling ") {
		t.Errorf("got %q, %v", out, err)
	}
}
