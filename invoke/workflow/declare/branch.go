package declare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-vr/starling/invoke/workflow"
)

// use is a function in a workflow, wherever it was named.
type use[D any] struct {
	function string
	at       string // where it was named first
	always   bool
	when     []test[D] // any of them
	shed     int
}

// test is a condition of a branch.
type test[D any] struct {
	holds func(*D) bool
	words string
	after []string
}

func (u *use[D]) step() workflow.Step[D] {
	s := workflow.Step[D]{Function: u.function, Shed: u.shed}
	if u.always || len(u.when) == 0 {
		return s
	}
	var words []string
	for _, t := range u.when {
		words = append(words, t.words)
		for _, name := range t.after {
			if !slices.Contains(s.After, name) {
				s.After = append(s.After, name)
			}
		}
	}
	s.Condition = strings.Join(words, " or ")
	tests := u.when
	if len(tests) == 1 {
		s.When = tests[0].holds
		return s
	}
	s.When = func(d *D) bool {
		for i := range tests {
			if tests[i].holds(d) {
				return true
			}
		}
		return false
	}
	return s
}

// uses gathers what a workflow names, in order.
func (r *reader[D]) uses(path string, d declared) ([]*use[D], error) {
	var all []*use[D]
	of := func(function, at string) *use[D] {
		for _, u := range all {
			if u.function == function {
				return u
			}
		}
		u := &use[D]{function: function, at: at + "=" + function}
		all = append(all, u)
		return u
	}
	for _, name := range d.Functions {
		if u := of(name, path+".functions"); u.always {
			return nil, r.problem(u.at, "%s is in functions twice: remove one", name)
		} else {
			u.always = true
		}
	}
	for i, b := range d.Branch {
		at := fmt.Sprintf("%s.branch[%d]", path, i)
		t, err := r.condition(at, b)
		if err != nil {
			return nil, err
		}
		for _, name := range b.Functions {
			u := of(name, at+".functions")
			u.when = append(u.when, t)
		}
		for _, name := range b.Otherwise {
			u := of(name, at+".otherwise")
			u.when = append(u.when, not(t))
		}
	}
	for i, name := range d.Optional {
		u := of(name, path+".optional")
		if u.shed > 0 {
			return nil, r.problem(path+".optional="+name, "%s is in optional twice: remove one", name)
		}
		u.shed = i + 1
		if len(u.when) == 0 {
			u.always = true
		}
	}
	return all, nil
}

func not[D any](t test[D]) test[D] {
	holds := t.holds
	return test[D]{func(d *D) bool { return !holds(d) }, "not (" + t.words + ")", t.after}
}

// condition makes the test of a branch: all that it names hold.
func (r *reader[D]) condition(at string, b branch) (test[D], error) {
	var all test[D]
	if len(b.When) == 0 {
		return all, r.problem(at, "a branch needs when = { CONDITION = VALUE }; conditions are %s", r.known())
	}
	var names, words []string
	for name := range b.When {
		names = append(names, name)
	}
	slices.Sort(names)
	var tests []func(*D) bool
	for _, name := range names {
		i := slices.IndexFunc(r.conditions, func(c Condition[D]) bool { return c.Name == name })
		if i < 0 {
			return all, r.problem(at+".when."+name, "there is no condition %s: conditions are %s", name, r.known())
		}
		c := &r.conditions[i]
		any, values, err := r.anyOf(c, b.When[name])
		if err != nil {
			return all, r.problem(at+".when."+name, "%s: %v", name, err)
		}
		tests = append(tests, any)
		words = append(words, name+" is "+strings.Join(values, " or "))
		all.after = append(all.after, c.After...)
	}
	all.words = strings.Join(words, " and ")
	all.holds = tests[0]
	if len(tests) > 1 {
		all.holds = func(d *D) bool {
			for _, holds := range tests {
				if !holds(d) {
					return false
				}
			}
			return true
		}
	}
	return all, nil
}

// anyOf makes the test for a value or a list of them.
func (r *reader[D]) anyOf(c *Condition[D], value any) (func(*D) bool, []string, error) {
	values, err := textsOf(value)
	if err != nil {
		return nil, nil, err
	}
	var tests []func(*D) bool
	for _, v := range values {
		holds, err := c.Make(v)
		if err != nil {
			return nil, nil, err
		}
		tests = append(tests, holds)
	}
	if len(tests) == 1 {
		return tests[0], values, nil
	}
	return func(d *D) bool {
		for _, holds := range tests {
			if holds(d) {
				return true
			}
		}
		return false
	}, values, nil
}

func textsOf(value any) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var texts []string
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no text: write it in quotes, or a list of texts", v)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("the list is empty: name at least one value")
	}
	return texts, nil
}

func (r *reader[D]) known() string {
	if len(r.conditions) == 0 {
		return "none"
	}
	var names []string
	for i := range r.conditions {
		names = append(names, r.conditions[i].Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
