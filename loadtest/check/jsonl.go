package check

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// line is one line of a file of histories: an event, or the final view.
type line struct {
	Client string
	Event  *Event `json:",omitempty"`
	Final  *View  `json:",omitempty"`
}

// WriteHistories writes histories as JSON lines, so that a failed run can be
// looked into and checked again.
func WriteHistories(w io.Writer, histories []History) error {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	for i := range histories {
		h := &histories[i]
		for k := range h.Events {
			if err := encoder.Encode(line{Client: h.Name, Event: &h.Events[k]}); err != nil {
				return err
			}
		}
		if h.Final != nil {
			if err := encoder.Encode(line{Client: h.Name, Final: h.Final}); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// ReadHistories reads what WriteHistories wrote; lines of different clients may
// be mixed.
func ReadHistories(r io.Reader) ([]History, error) {
	var histories []History
	index := make(map[string]int)
	decoder := json.NewDecoder(bufio.NewReader(r))
	for n := 1; ; n++ {
		var one line
		switch err := decoder.Decode(&one); {
		case err == io.EOF:
			return histories, nil
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		at, known := index[one.Client]
		if !known {
			at = len(histories)
			index[one.Client] = at
			histories = append(histories, History{Name: one.Client})
		}
		h := &histories[at]
		if one.Event != nil {
			if err := one.Event.valid(); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			h.Events = append(h.Events, *one.Event)
		}
		if one.Final != nil {
			h.Final = one.Final
		}
	}
}

// valid says whether an event has what its kind needs.
func (e *Event) valid() error {
	switch {
	case e.Kind == Sent && e.Action == nil, e.Kind == Told && e.Outcome == nil, e.Kind == Saw && e.Frame == nil:
		return fmt.Errorf("an event %q without its content", e.Kind)
	}
	return nil
}
