package directory

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Memory is a Store inside one process: for one node, and for several nodes in
// one test.
type Memory struct {
	mu      sync.Mutex
	records map[string]Record
	drains  map[string]uint64
}

// NewMemory makes an empty table.
func NewMemory() *Memory {
	return &Memory{records: map[string]Record{}, drains: map[string]uint64{}}
}

// Beat implements Store.
func (m *Memory) Beat(ctx context.Context, own *Record) (Listing, error) {
	if err := ctx.Err(); err != nil {
		return Listing{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if own != nil {
		r := *own
		r.Roles = slices.Clone(own.Roles)
		m.records[own.ID] = r
	}
	l := Listing{Drains: maps.Clone(m.drains)}
	for _, r := range m.records {
		l.Records = append(l.Records, &r)
	}
	return l, nil
}

// Remove implements Store.
func (m *Memory) Remove(_ context.Context, id string, incarnation, counter uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.records[id]; ok && r.Incarnation == incarnation && r.Counter == counter {
		delete(m.records, id)
		if m.drains[id] == incarnation {
			delete(m.drains, id)
		}
	}
	return nil
}

// SetDrain implements Store.
func (m *Memory) SetDrain(_ context.Context, id string, incarnation uint64, drain bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if drain {
		m.drains[id] = incarnation
	} else {
		delete(m.drains, id)
	}
	return nil
}

// Complete implements Store.
func (m *Memory) Complete() bool { return true }

// Close implements Store.
func (m *Memory) Close() error { return nil }
