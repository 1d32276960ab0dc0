// Package lint holds the rules of the house that are tests.
package lint

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/starling-vr/starling"

// floors is the order of the rooms: a package may import only from its own room
// and those below. Several rooms on a floor do not know each other.
var floors = [][]string{
	{"cmd", "examples", "game"},
	{"loadtest"},
	{"gateway", "web"},
	{"render"},
	{"regions"},
	{"actions"},
	{"workloads"},
	{"pubsub"},
	{"world"},
	{"invoke"},
	{"clients"},
	{"api"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	CgoFiles   []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,CgoFiles", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
}

func room(path string) string {
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

func floor(room string) (int, bool) {
	for i, rooms := range floors {
		for _, r := range rooms {
			if r == room {
				return i, true
			}
		}
	}
	return 0, false
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range list(t) {
		from := room(p.ImportPath)
		if from == "" || from == "internal" {
			continue
		}
		at, ok := floor(from)
		if !ok {
			t.Errorf("%s: top-level folder %q has no place in the order of rooms", p.ImportPath, from)
			continue
		}
		for _, imported := range p.Imports {
			to := room(imported)
			if to == "" || to == from || to == "internal" {
				continue
			}
			below, ok := floor(to)
			if !ok || below <= at {
				t.Errorf("%s imports %s: imports point down only", p.ImportPath, imported)
			}
		}
	}
}

func TestNoCgoInTheCoreAndTheClient(t *testing.T) {
	for _, p := range list(t) {
		from := room(p.ImportPath)
		rest := strings.TrimPrefix(p.ImportPath, module+"/")
		if from != "invoke" && from != "api" && !strings.HasPrefix(rest, "clients/go") {
			continue
		}
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "github.com/uber/h3-go") || dep == module+"/world/hex" {
				t.Errorf("%s depends on %s, which needs cgo", p.ImportPath, dep)
			}
			if from == "invoke" && strings.HasPrefix(dep, module) && room(dep) != "invoke" {
				t.Errorf("%s imports %s: invoke knows nothing of the project", p.ImportPath, dep)
			}
		}
	}
}

// source calls each for every Go file of the project that is not generated.
func source(t *testing.T, each func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == ".git") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".pb.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		each(path, string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRulesOfTheSource(t *testing.T) {
	unfinished := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	source(t, func(path, text string) {
		if strings.HasSuffix(path, "_test.go") {
			if strings.Contains(text, "time."+"Sleep(") {
				t.Errorf("%s sleeps: wait for a condition, or use testing/synctest", path)
			}
			if regexp.MustCompile(`\bt\.Skip`).MatchString(text) && !strings.Contains(path, "internal/lint") {
				t.Errorf("%s skips tests: a test that did not run proves nothing", path)
			}
		}
		if unfinished.MatchString(text) {
			t.Errorf("%s has unfinished marks", path)
		}
		if lines := strings.Count(text, "\n"); lines > 700 {
			t.Errorf("%s has %d lines: a file is one idea", path, lines)
		}
	})
}
