// Package directory says which processes of a region there are: a small table
// in a store, in which each process renews a counter, and by which each judges
// the others with its own clock.
//
// The directory decides only who *should* serve a shard, and when the shards of
// a lost owner may be claimed. That no two processes can write one shard is the
// log's promise (world.Log), whatever is believed here.
package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Role is what a process does.
type Role string

const (
	// RoleGateway: serves clients.
	RoleGateway Role = "gateway"
	// RoleOwner: runs shards.
	RoleOwner Role = "owner"
	// RoleAnnotate: annotates documents.
	RoleAnnotate Role = "annotate"
	// RoleTrigger: decides about records of a detector.
	RoleTrigger Role = "trigger"
)

// Roles are all that there are.
func Roles() []Role { return []Role{RoleGateway, RoleOwner, RoleAnnotate, RoleTrigger} }

// ParseRole reads a role.
func ParseRole(text string) (Role, error) {
	if r := Role(text); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", fmt.Errorf("role %q: want gateway, owner, annotate or trigger", text)
}

// Load is what a process says of its own load.
type Load struct {
	Shards           int     `json:"shards"`
	Sessions         int     `json:"sessions"`
	Connections      int     `json:"connections"`
	ActionsPerSecond float64 `json:"actions_per_second"`
}

// Record is a process's entry in the directory. Only the process itself writes
// it.
type Record struct {
	ID          string `json:"id"`          // 1..64 bytes of letters, digits, '.', '_' and '-'
	Incarnation uint64 `json:"incarnation"` // random for each start of the process
	Counter     uint64 `json:"counter"`     // grows with each renewal
	Term        uint64 `json:"term"`        // grows each time the lease was lost and regained
	Roles       []Role `json:"roles"`
	Address     string `json:"address"` // host:port of the peer port, as others reach it
	Version     string `json:"version"`
	Draining    bool   `json:"draining,omitempty"` // hands its shards over and gets none
	Left        bool   `json:"left,omitempty"`     // has handed everything over and is gone
	Unsettled   bool   `json:"unsettled,omitempty"`
	Load        Load   `json:"load"`
}

// Has says whether the process has the role.
func (r *Record) Has(role Role) bool { return slices.Contains(r.Roles, role) }

// Limits on what is read from a store, which others may write to.
const (
	maxRecordBytes = 4096
	maxIDBytes     = 64
)

// CheckID says what is wrong with a node id.
func CheckID(id string) error {
	if len(id) == 0 || len(id) > maxIDBytes {
		return fmt.Errorf("node id of %d bytes: want 1..%d", len(id), maxIDBytes)
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return fmt.Errorf("node id %q: want letters, digits, '.', '_' and '-'", id)
		}
	}
	return nil
}

// Encode gives the form that DecodeRecord reads: JSON, so that an operator can
// read the table as it stands.
func (r *Record) Encode() ([]byte, error) {
	if err := CheckID(r.ID); err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// DecodeRecord reads an encoded record. Unknown fields are left for newer
// versions; what does not make sense is an error.
func DecodeRecord(data []byte) (*Record, error) {
	if len(data) > maxRecordBytes {
		return nil, fmt.Errorf("directory record of %d bytes: want at most %d", len(data), maxRecordBytes)
	}
	r := new(Record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("directory record: %w", err)
	}
	if err := CheckID(r.ID); err != nil {
		return nil, fmt.Errorf("directory record: %w", err)
	}
	if r.Incarnation == 0 {
		return nil, errors.New("directory record without incarnation")
	}
	return r, nil
}
