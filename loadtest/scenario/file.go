package scenario

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

//go:embed library/*.toml
var library embed.FS

// Names lists the scenarios that come with Starling.
func Names() []string {
	entries, err := fs.ReadDir(library, "library")
	if err != nil {
		panic(err) // embedded
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".toml"))
	}
	slices.Sort(names)
	return names
}

// Source gives the file of a scenario by name, comments included, for a user to
// copy and change.
func Source(name string) ([]byte, error) {
	text, err := library.ReadFile("library/" + name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("there is no scenario %q: there are %s", name, strings.Join(Names(), ", "))
	}
	return text, nil
}

// Load reads a scenario that comes with Starling by its name, or a file: what
// ends in .toml or has a path separator in it is a file.
func Load(nameOrFile string) (*Scenario, error) {
	var text []byte
	var err error
	if strings.HasSuffix(nameOrFile, ".toml") || strings.ContainsRune(nameOrFile, filepath.Separator) {
		text, err = os.ReadFile(nameOrFile)
	} else {
		text, err = Source(nameOrFile)
	}
	if err != nil {
		return nil, err
	}
	return Parse(strings.TrimSuffix(filepath.Base(nameOrFile), ".toml"), text)
}

// Parse reads a scenario from TOML. Keys that it does not know are refused, with
// their lines; so is what makes no sense.
func Parse(name string, text []byte) (*Scenario, error) {
	if !utf8.Valid(text) || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0x7f }) {
		return nil, fmt.Errorf("scenario %s: the file is not text: want TOML, as `starling loadtest scenarios` shows it", name)
	}
	s := &Scenario{Name: name, Ring: 1, Mix: Mix{Things: 0.25}, Walk: Walk{Stride: 20}}
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(s)
	var unknown *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		err := fmt.Errorf("scenario %s: unknown keys:\n%s", name, unknown.String())
		return nil, errors.Join(err, s.Validate()) // of what is known
	case errors.As(err, &bad):
		row, column := bad.Position()
		return nil, fmt.Errorf("scenario %s: line %d, column %d: %w\n%s", name, row, column, err, bad.String())
	case err != nil:
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	return s, nil
}

// TOML writes the scenario without comments, so that Parse reads it again.
func (s *Scenario) TOML() ([]byte, error) { return toml.Marshal(s) }
