package config

import (
	"reflect"
	"strings"
)

// schema is what keys a configuration struct has.
type schema struct {
	keys   []string // dotted
	known  map[string]bool
	byEnv  map[string]string
	tables map[string][]string // dotted name of a table: the fields of its sections
}

func newSchema(t reflect.Type) *schema {
	s := &schema{known: make(map[string]bool), byEnv: make(map[string]string), tables: make(map[string][]string)}
	s.add(t, "")
	for _, k := range s.keys {
		s.known[k] = true
		s.byEnv[EnvName(k)] = k
	}
	return s
}

func (s *schema) add(t reflect.Type, under string) {
	for _, f := range fields(t) {
		name := under + f.Tag.Get("toml")
		switch {
		case isSection(f.Type):
			s.add(f.Type, name+".")
		case isTable(f.Type):
			for _, of := range fields(f.Type.Elem()) {
				s.tables[name] = append(s.tables[name], of.Tag.Get("toml"))
			}
		default:
			s.keys = append(s.keys, name)
		}
	}
}

func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct }

func isTable(t reflect.Type) bool { return t.Kind() == reflect.Map && isSection(t.Elem()) }

// fields gives those fields of a struct that are settings.
func fields(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("toml"); f.IsExported() && name != "" && name != "-" {
			all = append(all, f)
		}
	}
	return all
}

// tableKey is a key within a table: functions.move.rate.
type tableKey struct{ table, name, field string }

// tableKey takes a key apart. Names may have dots in them, fields have none.
func (s *schema) tableKey(key string) (tableKey, bool) {
	for table, fields := range s.tables {
		rest, within := strings.CutPrefix(key, table+".")
		dot := strings.LastIndexByte(rest, '.')
		if !within || dot < 1 {
			continue
		}
		for _, field := range fields {
			if rest[dot+1:] == field {
				return tableKey{table, rest[:dot], field}, true
			}
		}
	}
	return tableKey{}, false
}

func (s *schema) has(key string) bool {
	_, inTable := s.tableKey(key)
	return inTable || s.known[key]
}

// ofEnv gives the key of an environment variable. The names in a table are in
// lower case there.
func (s *schema) ofEnv(variable string) (string, bool) {
	if key, ok := s.byEnv[variable]; ok {
		return key, true
	}
	longest, found := tableKey{}, false
	for table, fields := range s.tables {
		rest, within := strings.CutPrefix(variable, EnvName(table)+"_")
		if !within {
			continue
		}
		for _, field := range fields {
			name, ends := strings.CutSuffix(rest, strings.TrimPrefix(EnvName("_"+field), Prefix))
			if ends && name != "" && len(field) > len(longest.field) {
				longest, found = tableKey{table, strings.ToLower(name), field}, true
			}
		}
	}
	return longest.table + "." + longest.name + "." + longest.field, found
}

// suggestion names the known key nearest to a mistaken one.
func (s *schema) suggestion(key string) string {
	keys := s.keys
	for table, fields := range s.tables {
		rest, within := strings.CutPrefix(key, table+".")
		dot := strings.LastIndexByte(rest, '.')
		if within && dot > 0 {
			for _, field := range fields {
				keys = append(keys[:len(keys):len(keys)], table+"."+rest[:dot]+"."+field)
			}
		}
	}
	return suggestion(key, keys)
}

// withNamed puts what was set of tables into the settings of the file.
func withNamed(raw map[string]any, named map[tableKey]string) map[string]any {
	for at, value := range named {
		within := raw
		for _, part := range append(strings.Split(at.table, "."), at.name) {
			below, ok := within[part].(map[string]any)
			if !ok {
				below = make(map[string]any)
				within[part] = below
			}
			within = below
		}
		within[at.field] = value
	}
	return raw
}
