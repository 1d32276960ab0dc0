package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/starling-vr/starling/workloads/annotate/knowledge"
)

// described is what GET /v1/annotate/workflows says of a workflow.
type described struct {
	Name       string          `json:"name"`
	DeadlineMs float64         `json:"deadline_ms"`
	Hard       bool            `json:"hard"`
	RatePerS   float64         `json:"rate_per_s"`
	Topics     []string        `json:"topics"`
	Functions  []describedStep `json:"functions"`
}

type describedStep struct {
	Name      string  `json:"name"`
	Condition string  `json:"condition,omitempty"`
	Optional  bool    `json:"optional,omitempty"`
	Runs      uint64  `json:"runs"`
	Shed      uint64  `json:"shed"`
	Learned   float64 `json:"run_time_us"`
	Share     float64 `json:"share_us"`
}

func (s *Service) listWorkflows(w http.ResponseWriter, q *http.Request) {
	_, p := s.bearer(q.Header)
	if p == nil {
		_, p = parameters(q, nil)
	}
	if p != nil {
		writeProblem(w, "", "", p)
		return
	}
	all := []described{}
	for _, f := range s.order {
		d := described{
			Name: f.Name, DeadlineMs: float64(time.Duration(f.Deadline)) / float64(time.Millisecond), Hard: f.Hard, RatePerS: f.Rate, Topics: []string{},
		}
		for _, t := range f.Topics {
			d.Topics = append(d.Topics, t.Name)
		}
		for _, step := range f.Flow.Account().Steps {
			d.Functions = append(d.Functions, describedStep{
				Name: step.Function, Condition: step.Condition, Optional: step.Optional, Runs: step.Runs, Shed: step.Shed,
				Learned: float64(step.Learned) / float64(time.Microsecond), Share: float64(step.Share) / float64(time.Microsecond),
			})
		}
		all = append(all, d)
	}
	writeJSON(w, map[string]any{"workflows": all})
}

// describedEntity is what GET /v1/entities/{id} says.
type describedEntity struct {
	Entity    string            `json:"entity"`
	Kind      string            `json:"kind"`
	Name      string            `json:"name"`
	Documents uint32            `json:"documents"`
	First     time.Time         `json:"first"`
	Last      time.Time         `json:"last"`
	With      []describedFriend `json:"with"`
}

type describedFriend struct {
	Entity string `json:"entity"`
	Name   string `json:"name"`
	Count  uint32 `json:"count"`
}

func (s *Service) entity(w http.ResponseWriter, q *http.Request) {
	who, p := s.bearer(q.Header)
	if p == nil && s.deps.Verify != nil && !who.has(SubscribeScope) {
		p = problem("forbidden", "the token lacks the scope "+SubscribeScope)
	}
	if p == nil {
		_, p = parameters(q, nil)
	}
	id, err := strconv.ParseUint(q.PathValue("id"), 16, 64)
	if p == nil && err != nil {
		p = problem("invalid", "an entity is named by 16 hexadecimal digits")
	}
	var known knowledge.Entity
	var ok bool
	if p == nil {
		if known, ok = s.pipeline.Knowledge.Get(id); !ok {
			p = problem("not_found", "no such entity, or it was forgotten")
		}
	}
	if p != nil {
		writeProblem(w, "", "", p)
		return
	}
	d := describedEntity{
		Entity: fmt.Sprintf("%016x", id), Kind: known.Kind.String(), Name: known.Name, Documents: known.Documents,
		First: known.First.UTC(), Last: known.Last.UTC(), With: []describedFriend{},
	}
	for _, c := range known.Companions {
		friend := describedFriend{Entity: fmt.Sprintf("%016x", c.ID), Count: c.Count}
		if e, ok := s.pipeline.Knowledge.Get(c.ID); ok {
			friend.Name = e.Name
		}
		d.With = append(d.With, friend)
	}
	writeJSON(w, d)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header()["Content-Type"] = jsonType
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(value)
}
