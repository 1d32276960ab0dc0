// Package declare reads workflows that users declare in a TOML file:
//
//	[workflow.default]
//	deadline = "100ms"
//	hard = true            # a late result is worthless
//	rate = 4000            # guaranteed documents per second; left out: best effort
//	burst = 200
//	functions = ["parse", "tokens", "language", "summary"]
//	optional = ["summary"] # shed when there is no time, the first one first
//
//	[[workflow.default.branch]]
//	when = { language = "en", source = ["news", "mail"] }
//	functions = ["tags", "entities"]
//	otherwise = ["translate"]
//
// Which functions and conditions there are is said by the program.
package declare

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/starling-vr/starling/invoke/workflow"
)

// Condition is what branches may ask for by name.
type Condition[D any] struct {
	Name string
	// After names the functions whose results it reads.
	After []string
	// Make gives the test for a value. The error says which values there are.
	Make func(value string) (func(*D) bool, error)
}

// Error is what is wrong in a file, where, and what to do.
type Error struct {
	File string
	// Line and Column count from 1; 0 where it is not at one place.
	Line, Column int
	Problem      string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Problem
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

// file is the form of a file.
type file struct {
	Workflow map[string]declared `toml:"workflow"`
}

type declared struct {
	Deadline   string   `toml:"deadline"`
	Hard       bool     `toml:"hard"`
	Rate       float64  `toml:"rate"`
	Burst      int      `toml:"burst"`
	MissTarget float64  `toml:"miss_target"`
	Queue      int      `toml:"queue"`
	Functions  []string `toml:"functions"`
	Optional   []string `toml:"optional"`
	Branch     []branch `toml:"branch"`
}

type branch struct {
	When      map[string]any `toml:"when"`
	Functions []string       `toml:"functions"`
	Otherwise []string       `toml:"otherwise"`
}

// Parse reads a file and tests it against the functions of an engine. The graphs
// come sorted by name, ready to be deployed, but for Memory and Splitter, which are
// the program's. The error is an *Error, or several joined.
func Parse[D any](name string, text []byte, engine *workflow.Engine[D], conditions []Condition[D]) ([]workflow.Graph[D], error) {
	r := &reader[D]{file: name, engine: engine, conditions: conditions}
	var f file
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, r.notTOML(err)
	}
	r.places = findPlaces(text)
	if len(f.Workflow) == 0 {
		return nil, &Error{File: name, Problem: "declares no workflow: begin one with [workflow.NAME]"}
	}
	var names []string
	for name := range f.Workflow {
		names = append(names, name)
	}
	slices.Sort(names)
	var graphs []workflow.Graph[D]
	var errs []error
	for _, name := range names {
		g, err := r.graph(name, f.Workflow[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		graphs = append(graphs, g)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	return graphs, nil
}

type reader[D any] struct {
	file       string
	engine     *workflow.Engine[D]
	conditions []Condition[D]
	places     places
}

func (r *reader[D]) notTOML(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		at := strict.Errors[0]
		line, column := at.Position()
		return &Error{r.file, line, column, fmt.Sprintf("unknown key %s: %s", strings.Join(at.Key(), "."), knownKeys(at.Key()))}
	}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, column := at.Position()
		return &Error{r.file, line, column, strings.TrimPrefix(at.Error(), "toml: ")}
	}
	return &Error{File: r.file, Problem: err.Error()}
}

// knownKeys says what may stand where an unknown key was found.
func knownKeys(key []string) string {
	switch {
	case len(key) == 1:
		return "sections are [workflow.NAME]"
	case slices.Contains(key, "branch"):
		return "a branch has when, functions and otherwise"
	}
	return "a workflow has deadline, hard, rate, burst, miss_target, queue, functions, optional and branch"
}

func (r *reader[D]) problem(at, format string, args ...any) *Error {
	place := r.places.find(at)
	return &Error{r.file, place.line, place.column, fmt.Sprintf(format, args...)}
}

// graph makes a graph of what is declared.
func (r *reader[D]) graph(name string, d declared) (workflow.Graph[D], error) {
	path := "workflow." + name
	g := workflow.Graph[D]{Name: name, Hard: d.Hard, Rate: d.Rate, Burst: d.Burst, MissTarget: d.MissTarget, Queue: d.Queue}
	deadline, err := time.ParseDuration(d.Deadline)
	switch {
	case d.Deadline == "":
		return g, r.problem(path, `workflow %s has no deadline: write for example deadline = "100ms"`, name)
	case err != nil || deadline <= 0:
		return g, r.problem(path+".deadline", `deadline %q is no time: write for example "100ms" or "5s"`, d.Deadline)
	case d.Rate < 0 || d.Burst < 0 || d.Queue < 0:
		return g, r.problem(path, "rate, burst and queue cannot be negative")
	case d.Burst > 0 && d.Rate == 0:
		return g, r.problem(path+".burst", "burst is part of a guarantee: add rate, or leave burst out")
	case d.MissTarget < 0 || d.MissTarget > 1:
		return g, r.problem(path+".miss_target", "miss_target %v is a share: write 0.01 for 1 %%", d.MissTarget)
	}
	g.Deadline = deadline
	uses, err := r.uses(path, d)
	if err != nil {
		return g, err
	}
	for _, u := range uses {
		g.Steps = append(g.Steps, u.step())
	}
	return g, r.validate(g, uses)
}

// validate lets the engine test the graph, and says where it is at fault.
func (r *reader[D]) validate(g workflow.Graph[D], uses []*use[D]) error {
	err := r.engine.Validate(g)
	var fault *workflow.GraphError
	if !errors.As(err, &fault) {
		return err
	}
	at := "workflow." + g.Name
	for _, u := range uses {
		if u.function == fault.Step {
			at = u.at
		}
	}
	if fault.Step == "" {
		return r.problem(at, "workflow %s: %s", g.Name, fault.Problem)
	}
	return r.problem(at, "%s: %s", fault.Step, fault.Problem)
}
