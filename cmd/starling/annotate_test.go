package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-vr/starling/workloads/annotate/model/container"
)

// Models that are not whole, or not models, are refused by name, before anything is
// measured with them.
func TestModelsThatAreRefused(t *testing.T) {
	models, err := os.ReadFile("../../workloads/annotate/model/models.bin")
	if err != nil {
		t.Fatal(err)
	}
	version := uint32(models[8])
	changed := append([]byte(nil), models...)
	changed[len(changed)/2] ^= 1
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"changed.bin": {changed, "its bytes were changed"},
		"cut.bin":     {models[:len(models)/2], "the file ends before it"},
		"empty.bin":   {nil, "this is no file of models"},
		"shape.bin":   {misshapen(t, models, version), "speech"},
		"other.bin":   {container.Encode(version+1, []container.Section{}), "this program reads"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := run("", "annotate", "evaluate", "--data", t.TempDir(), "--models", path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// misshapen is a whole file whose weights for parts of speech are too few.
func misshapen(t *testing.T, models []byte, version uint32) []byte {
	t.Helper()
	sections, err := container.Decode(models, version)
	if err != nil {
		t.Fatal(err)
	}
	var all []container.Section
	for name, bytes := range sections {
		if name == "speech.weights" {
			bytes = bytes[:len(bytes)-64]
		}
		all = append(all, container.Section{Name: name, Bytes: bytes})
	}
	return container.Encode(version, all)
}

// What training lacks is said at once, and all of it.
func TestTrainingSaysWhatItLacks(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "vectors.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := run("", "annotate", "train", "--data", data, "--out", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "has no ewt-train.tsv, wikigold.conll, movie_reviews.tsv, ewt-dev.tsv, uner-dev.tsv") {
		t.Error(err)
	}
	if _, err := run("", "annotate", "train", "--data", data, "--out", filepath.Join(data, "none")); err == nil || !strings.Contains(err.Error(), "no such folder") {
		t.Error(err)
	}
}
