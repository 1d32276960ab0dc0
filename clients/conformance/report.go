package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// kindOf gives the member "kind" of a report or of a report's pattern.
func kindOf(report json.RawMessage) string {
	var head struct {
		Kind string `json:"kind"`
	}
	if json.Unmarshal(report, &head) != nil {
		return ""
	}
	return head.Kind
}

func (r *run) addReports(reports []json.RawMessage) {
	r.mu.Lock()
	r.reports = append(r.reports, reports...)
	r.mu.Unlock()
	select {
	case r.reported <- struct{}{}:
	default:
	}
}

// takeReport removes the first report of a kind.
func (r *run) takeReport(kind string) (json.RawMessage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, report := range r.reports {
		if kindOf(report) == kind {
			r.reports = append(r.reports[:i:i], r.reports[i+1:]...)
			return report, true
		}
	}
	return nil, false
}

// awaitReport wants the first unread report of the pattern's kind to match.
func (r *run) awaitReport(s Step) error {
	kind := kindOf(s.Report)
	if kind == "" {
		return errors.New("the pattern names no kind")
	}
	timeout := time.NewTimer(s.within())
	defer timeout.Stop()
	for {
		if report, ok := r.takeReport(kind); ok {
			if err := r.tooSoon(s); err != nil {
				return err
			}
			return Match(s.Report, report)
		}
		select {
		case <-r.reported:
		case <-timeout.C:
			return fmt.Errorf("no report of kind %q came", kind)
		}
	}
}

// noReport wants no unread report to match for a while.
func (r *run) noReport(s Step) error {
	timeout := time.NewTimer(s.quiet())
	defer timeout.Stop()
	for {
		if report, found := r.matching(s.NoReport); found {
			return fmt.Errorf("unexpected report %s", report)
		}
		select {
		case <-r.reported:
		case <-timeout.C:
			return nil
		}
	}
}

func (r *run) matching(pattern json.RawMessage) (json.RawMessage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range r.reports {
		if Match(pattern, report) == nil {
			return report, true
		}
	}
	return nil, false
}
