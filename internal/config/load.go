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
// Nested structs are sections. Field types: string, bool, integers, floats,
// time.Duration ("4ms"), and slices of strings.
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
	keys := keysOf(reflect.TypeOf(into).Elem(), "")
	known := make(map[string]bool, len(keys))
	byEnv := make(map[string]string, len(keys))
	for _, k := range keys {
		known[k] = true
		byEnv[EnvName(k)] = k
	}

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
			if !known[key] {
				return fmt.Errorf("%s: unknown key %q%s", from.File, key, suggestion(key, keys))
			}
		}
	}
	over := map[string]any{}
	for _, entry := range from.Env {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, Prefix) {
			continue
		}
		key, ok := byEnv[name]
		if !ok {
			return fmt.Errorf("environment: unknown variable %s%s", name, suggestion(name, names(byEnv)))
		}
		over[key] = value
	}
	for _, entry := range from.Set {
		key, value, found := strings.Cut(entry, "=")
		if !found {
			return fmt.Errorf("--set %q: want section.key=value", entry)
		}
		if !known[key] {
			return fmt.Errorf("--set: unknown key %q%s", key, suggestion(key, keys))
		}
		over[key] = value
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
	if err := decoder.Decode(k.Raw()); err != nil {
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

func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct }

// keysOf lists the dotted keys of a struct.
func keysOf(t reflect.Type, under string) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		if isSection(f.Type) {
			keys = append(keys, keysOf(f.Type, under+name+".")...)
			continue
		}
		keys = append(keys, under+name)
	}
	return keys
}

// suggestion names the known key nearest to a mistaken one.
func suggestion(key string, keys []string) string {
	best, at := "", 4
	for _, k := range keys {
		if d := distance(key, k); d < at {
			best, at = k, d
		}
	}
	if best == "" {
		return "; `starling config defaults` lists all"
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
