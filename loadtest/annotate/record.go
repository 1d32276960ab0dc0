package annotate

import (
	"math"
	"sync"
	"time"
)

func powOf(x, y float64) float64 { return math.Pow(x, y) }

// Answer is what came back for a document.
type Answer struct {
	// Code is "" for annotations, else why there are none.
	Code string
	// Message says why, in the server's words; "" if there is none.
	Message string
	// Late says that the server itself calls it late, or that a required function is
	// missing.
	Late bool
	// Missing are the functions that did not run to their end, by what became of them
	// ("shed", "failed", ...).
	Missing map[string]string
	// Bytes is the length of the answer.
	Bytes int
}

// record keeps what became of each document. A document is answered by one
// goroutine.
type record struct {
	due      []time.Duration
	answered []time.Duration // 0: not yet
	codes    []uint8         // places in names
	late     []bool

	mu       sync.Mutex // guards what follows
	names    []string
	reasons  map[string]string // by code, the first message
	shed     map[string]int64
	missing  map[string]int64
	bytes    int64
	left     int
	finished chan struct{} // closed when all are answered
}

func newRecord(due []time.Duration) *record {
	n := len(due)
	r := &record{
		due: due, answered: make([]time.Duration, n), codes: make([]uint8, n), late: make([]bool, n),
		names: []string{""}, reasons: map[string]string{}, shed: map[string]int64{}, missing: map[string]int64{}, left: n, finished: make(chan struct{}),
	}
	if n == 0 {
		close(r.finished)
	}
	return r
}

// answer notes what came back for a document, at a time since the beginning. What
// was answered already, or was never sent, is ignored and reported as false.
func (r *record) answer(number int, at time.Duration, a *Answer, counted bool) bool {
	if number < 0 || number >= len(r.due) || r.answered[number] != 0 {
		return false
	}
	r.answered[number] = max(at, 1)
	r.late[number] = a.Late
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Code != "" {
		r.codes[number] = r.code(a.Code)
	}
	if counted {
		if _, told := r.reasons[a.Code]; !told && a.Message != "" {
			r.reasons[a.Code] = a.Message
		}
		r.bytes += int64(a.Bytes)
		for function, outcome := range a.Missing {
			if outcome == "shed" {
				r.shed[function]++
			} else if outcome != "skipped" {
				r.missing[function]++
			}
		}
	}
	if r.left--; r.left == 0 {
		close(r.finished)
	}
	return true
}

func (r *record) code(name string) uint8 {
	for i, known := range r.names {
		if known == name {
			return uint8(i)
		}
	}
	if len(r.names) == math.MaxUint8 {
		return math.MaxUint8 - 1
	}
	r.names = append(r.names, name)
	return uint8(len(r.names) - 1)
}
