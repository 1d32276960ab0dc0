package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/starling-vr/starling/invoke/workflow"
)

// step makes a step of the graph with its condition: the user's, and the language
// where a function is for English. It stands at that place of the definition.
func (d *Definition) step(at string, s Step) (workflow.Step[Job], error) {
	step := workflow.Step[Job]{Function: s.Function, Shed: s.Optional}
	var words []string
	var holds []func(*Job) bool
	var all []error
	if english[s.Function] {
		words = append(words, "language is en")
		holds = append(holds, func(j *Job) bool { return j.Language.English() })
	}
	if c := s.When; c != nil {
		for _, name := range c.Topic {
			if !slices.ContainsFunc(d.Topics, func(t Topic) bool { return t.Name == name }) {
				all = append(all, wrong(at+"when.topic="+name, "the workflow has no topic %q: add it as [[workflow.topic]], or name one of its own", name))
			}
		}
		if c.Sentiment != "" && c.Sentiment != "negative" && c.Sentiment != "positive" {
			all = append(all, wrong(at+"when.sentiment", "sentiment %q: want negative or positive", c.Sentiment))
		}
		add := func(set bool, word string, after string, hold func(*Job) bool) {
			if !set {
				return
			}
			if after != "" && after != s.Function {
				step.After = append(step.After, after)
			}
			words, holds = append(words, word), append(holds, hold)
		}
		add(len(c.Source) > 0, "source is "+strings.Join(c.Source, " or "), "", func(j *Job) bool { return slices.Contains(c.Source, j.From) })
		add(c.MinBytes > 0, fmt.Sprintf("at least %d bytes", c.MinBytes), "", func(j *Job) bool { return len(j.Source) >= c.MinBytes })
		add(c.MaxBytes > 0, fmt.Sprintf("at most %d bytes", c.MaxBytes), "", func(j *Job) bool { return len(j.Source) <= c.MaxBytes })
		add(len(c.Language) > 0, "language is "+strings.Join(c.Language, " or "), "language", func(j *Job) bool { return slices.Contains(c.Language, j.Language.Code) })
		add(len(c.Topic) > 0, "topic is "+strings.Join(c.Topic, " or "), "topics", func(j *Job) bool { return j.about(c.Topic) })
		add(c.Sentiment != "", "sentiment is "+c.Sentiment, "sentiment", func(j *Job) bool {
			return j.Sentiment.Known && (j.Sentiment.Score < 0) == (c.Sentiment == "negative")
		})
	}
	step.Condition = strings.Join(words, ", ")
	switch len(holds) {
	case 0:
	case 1:
		step.When = holds[0]
	default:
		step.When = func(j *Job) bool {
			for _, hold := range holds {
				if !hold(j) {
					return false
				}
			}
			return true
		}
	}
	return step, errors.Join(all...)
}

func (j *Job) about(topics []string) bool {
	for i := range j.Topics {
		if slices.Contains(topics, j.Topics[i].Name) {
			return true
		}
	}
	return false
}
