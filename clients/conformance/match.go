package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
)

// Match says whether a JSON value fits a pattern; the error says where not.
// An object fits if every member of the pattern fits (others may be there); an
// array if it is as long and its elements fit one by one; anything else if it
// is equal. Members whose name begins with $ are tests:
//
//	{"$any": true}                 anything that is there
//	{"$absent": true}              nothing, null, 0, "", false or empty
//	{"$near": 5, "$within": 0.1}   a number so close
//	{"$not": pattern}              whatever does not fit pattern
func Match(pattern, value json.RawMessage) error {
	var p, v any
	if err := json.Unmarshal(pattern, &p); err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	if len(value) > 0 {
		if err := json.Unmarshal(value, &v); err != nil {
			return fmt.Errorf("value: %w", err)
		}
	}
	return match("", p, v)
}

func match(at string, pattern, value any) error {
	switch p := pattern.(type) {
	case map[string]any:
		if ok, err := tests(at, p, value); ok {
			return err
		}
		v, ok := value.(map[string]any)
		if !ok {
			return mismatch(at, pattern, value)
		}
		for name, inner := range p {
			if err := match(at+"/"+name, inner, v[name]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		v, ok := value.([]any)
		if !ok && value != nil || len(v) != len(p) {
			return mismatch(at, pattern, value)
		}
		for i := range p {
			if err := match(fmt.Sprintf("%s/%d", at, i), p[i], v[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(pattern, value) {
		return mismatch(at, pattern, value)
	}
	return nil
}

func tests(at string, p map[string]any, value any) (ok bool, err error) {
	fail := mismatch(at, p, value)
	if _, is := p["$any"]; is {
		if value == nil {
			return true, fail
		}
		return true, nil
	}
	if _, is := p["$absent"]; is {
		if !empty(value) {
			return true, fail
		}
		return true, nil
	}
	if inner, is := p["$not"]; is {
		if match(at, inner, value) == nil {
			return true, fail
		}
		return true, nil
	}
	if near, is := p["$near"].(float64); is {
		v, number := value.(float64)
		within, _ := p["$within"].(float64)
		if value == nil {
			number = true
		}
		if !number || math.Abs(v-near) > within {
			return true, fail
		}
		return true, nil
	}
	return false, nil
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == "" || v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func mismatch(at string, pattern, value any) error {
	want, _ := json.Marshal(pattern)
	got, _ := json.Marshal(value)
	if at == "" {
		at = "/"
	}
	return fmt.Errorf("at %s: want %s, got %s", at, want, got)
}
