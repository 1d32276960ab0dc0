package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/model/topic"
)

// DefinitionError says what is wrong in a file of workflows, where, and what to do.
type DefinitionError struct {
	File string
	// Line and Column count from 1; 0 where it is not at one place.
	Line, Column int
	Problem      string
	Err          error // what it wraps; may be nil
}

func (e *DefinitionError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Problem
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

// Unwrap returns why the workflow was refused.
func (e *DefinitionError) Unwrap() error { return e.Err }

// origin is where a definition was read.
type origin struct {
	file   string
	places places
	path   string
}

// wrongPart is an error of a part of a definition, before its place is looked up.
type wrongPart struct{ part, problem string }

func (w *wrongPart) Error() string { return w.problem }

func wrong(part, problem string, args ...any) error {
	return &wrongPart{part, fmt.Sprintf(problem, args...)}
}

// locate adds the workflow's name to each of the errors in err, and the place if there is
// a file.
func (d *Definition) locate(err error) error {
	var located []error
	for _, one := range joined(err) {
		located = append(located, d.locateOne(one))
	}
	return join(located)
}

// joined are the errors that errors.Join made one of, in their order.
func joined(err error) (all []error) {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, one := range many.Unwrap() {
		all = append(all, joined(one)...)
	}
	return all
}

// join is errors.Join that leaves a single error as it is.
func join(all []error) error {
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

func (d *Definition) locateOne(err error) error {
	if d.origin == nil {
		return fmt.Errorf("workflow %q: %w", d.Name, err)
	}
	at := d.origin.places.find(d.origin.path + "." + d.part(err))
	return &DefinitionError{d.origin.file, at.line, at.column, fmt.Sprintf("workflow %q: %v", d.Name, err), err}
}

// part is the part of the definition that an error is about.
func (d *Definition) part(err error) string {
	var part *wrongPart
	var graph *workflow.GraphError
	var vector *topic.NoVectorError
	var refused *invoke.NotAdmittedError
	switch {
	case errors.As(err, &part):
		return part.part
	case errors.As(err, &graph):
		return fmt.Sprintf("step[%d].function", slices.IndexFunc(d.Steps, func(s Step) bool { return s.Function == graph.Step }))
	case errors.As(err, &vector):
		return fmt.Sprintf("topic[%d].name", slices.IndexFunc(d.Topics, func(t Topic) bool { return t.Name == vector.Topic }))
	case errors.As(err, &refused) && d.Rate > 0:
		return "rate"
	}
	return "name"
}

// check tests what concerns the definition alone.
func (d *Definition) check() error {
	var all []error
	check := func(bad bool, part, problem string, args ...any) {
		if bad {
			all = append(all, wrong(part, problem, args...))
		}
	}
	check(d.Name == "", "", `it has no name: write for example name = "moderation"`)
	check(d.Rate < 0, "rate", "rate %v is negative: leave it out for best effort", d.Rate)
	check(d.Burst < 0 || d.Burst > 0 && d.Rate == 0, "burst", "burst %d is part of a guarantee: add rate, or leave burst out", d.Burst)
	check(d.Queue < 0, "queue", "queue %d is negative: leave it out for the default", d.Queue)
	check(d.Refuse != "" && d.Refuse != "largest" && d.Refuse != "newest", "refuse", "refuse %q: write \"largest\" or \"newest\"", d.Refuse)
	check(d.MissTarget < 0 || d.MissTarget > 1, "miss_target", "miss_target %v is a share: write 0.01 for 1 %%", d.MissTarget)
	return errors.Join(all...)
}

// notRead says why a file was not read: all unknown keys, or what the first error is.
func notRead(file string, text []byte, err error) error {
	var strict *toml.StrictMissingError
	var at *toml.DecodeError
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		places := findPlaces(text)
		var all []error
		for i := range strict.Errors {
			line, column := strict.Errors[i].Position()
			key := places.at(place{line, column}) // that of the error lacks inline tables
			all = append(all, &DefinitionError{file, line, column, fmt.Sprintf("unknown key %s: %s", key[strings.LastIndexByte(key, '.')+1:], knownKeys(key)), err})
		}
		return join(all)
	case errors.As(err, &at):
		line, column := at.Position()
		return &DefinitionError{file, line, column, strings.TrimPrefix(at.Error(), "toml: "), err}
	}
	return &DefinitionError{File: file, Problem: err.Error(), Err: err}
}

// knownKeys says what may stand where an unknown key was found.
func knownKeys(key string) string {
	switch {
	case !strings.HasPrefix(key, "workflow["):
		return "a file has [[workflow]], [[workflow.topic]] and [[workflow.step]]"
	case strings.Contains(key, ".when."):
		return "when has source, topic, language, min_bytes, max_bytes and sentiment"
	case strings.Contains(key, ".step["):
		return "a step has function, optional and when"
	case strings.Contains(key, ".topic["):
		return "a topic has name, words, examples and threshold"
	}
	return "a workflow has name, deadline, hard, refuse, rate, burst, miss_target, queue, topic and step"
}
