// Package config loads a configuration struct from its defaults, one TOML file,
// the environment and flags, in this order, the later winning; and prints it as
// a commented file.
//
// A configuration struct has exported fields with the tags
//
//	toml:"name"     the key (required)
//	default:"…"     the default, as text
//	doc:"…"         one sentence or more: unit, meaning, what a wrong value does
//
// Nested structs are sections. A map from names to a struct is a table of sections,
// one for each name, whose fields may be pointers: nil is what nobody set. Field
// types: string, bool, integers, floats, time.Duration ("4ms"), and slices of strings.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/creasty/defaults"
	"github.com/go-viper/mapstructure/v2"
	koanftoml "github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/pelletier/go-toml/v2"
)

// Sources says where settings come from.
type Sources struct {
	File string   // path of a TOML file; "" for none
	Env  []string // as of os.Environ; those that start with Prefix count
	Set  []string // "section.key=value", from flags
}

// Prefix starts the name of every environment variable of Starling's:
// STARLING_GATEWAY_FLUSH is gateway.flush.
const Prefix = "STARLING_"

// Load fills into (a pointer to a configuration struct). Keys that do not exist
// are errors that name the closest key that does.
func Load(into any, from Sources) error {
	if err := defaults.Set(into); err != nil {
		return fmt.Errorf("defaults: %w", err)
	}
	known := newSchema(reflect.TypeOf(into).Elem())
	k := koanf.New(".")
	if from.File != "" {
		if err := k.Load(file.Provider(from.File), koanftoml.Parser()); err != nil {
			var at *toml.DecodeError
			if errors.As(err, &at) {
				line, column := at.Position()
				return fmt.Errorf("%s: line %d, column %d: %w", from.File, line, column, err)
			}
			return fmt.Errorf("%s: %w", from.File, err)
		}
		for _, key := range k.Keys() {
			if !known.has(key) {
				return fmt.Errorf("%s: unknown key %q%s", from.File, key, known.suggestion(key))
			}
		}
	}
	over, named := map[string]any{}, map[tableKey]string{}
	set := func(key, value string) {
		if at, ok := known.tableKey(key); ok {
			named[at] = value
		} else {
			over[key] = value
		}
	}
	for _, entry := range from.Env {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, Prefix) {
			continue
		}
		key, ok := known.ofEnv(name)
		if !ok {
			return fmt.Errorf("environment: unknown variable %s%s", name, suggestion(name, names(known.byEnv)))
		}
		set(key, value)
	}
	for _, entry := range from.Set {
		key, value, found := strings.Cut(entry, "=")
		if !found {
			return fmt.Errorf("--set %q: want section.key=value", entry)
		}
		if !known.has(key) {
			return fmt.Errorf("--set: unknown key %q%s", key, known.suggestion(key))
		}
		set(key, value)
	}
	if err := k.Load(confmap.Provider(over, "."), nil); err != nil {
		return err
	}
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:           into,
		TagName:          "toml",
		WeaklyTypedInput: true,
		ErrorUnused:      true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.StringToSliceHookFunc(","),
		),
	})
	if err != nil {
		return err
	}
	if err := decoder.Decode(withNamed(k.Raw(), named)); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return nil
}

// EnvName gives the environment variable of a key.
func EnvName(key string) string {
	return Prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

func names(m map[string]string) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

func suggestion(key string, keys []string) string {
	return Suggestion(key, keys, "`starling config defaults` lists all")
}

// Suggestion ends the message about a mistaken name: the nearest of those that
// there are, or, if none is near, where to find them.
func Suggestion(key string, keys []string, otherwise string) string {
	best, at := "", 4
	for _, k := range keys {
		if d := distance(key, k); d < at {
			best, at = k, d
		}
	}
	if best == "" {
		return "; " + otherwise
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the edit distance of Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
