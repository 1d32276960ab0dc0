package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var viewOptions = ViewOptions{Deadline: 15 * time.Millisecond, MaxMiss: 0.01}

func measuring(r *Run, second int) Snapshot {
	return Snapshot{
		Title: "street: 400 participants", Phase: Measuring, Elapsed: time.Duration(second+1) * time.Second, Length: 12 * time.Second,
		Participants: 400, Second: r.Series[second], Total: r.Series[second].Counts,
	}
}

func TestLinesForAPipe(t *testing.T) {
	var out bytes.Buffer
	v := newLines(&out, viewOptions)
	v.Show(Snapshot{Title: "street", Phase: Connecting, Participants: 400, Second: Second{Connected: 12}})
	cpu := 1.25
	s := Snapshot{Title: "street", Phase: Measuring, Elapsed: time.Second, Participants: 400, Warning: "the load tester lags"}
	s.Second = Second{
		Counts: Counts{Offered: 100, Achieved: 98, Refused: 2, DeliveriesExpected: 800, DeliveriesMissed: 20},
		P50MS:  3.14, P99MS: 9, MaxMS: 21, Connected: 400, ServerCPUS: &cpu, GeneratorCPUS: 0.5,
	}
	s.Total = s.Second.Counts
	v.Show(s)
	v.Note("a remark")
	want := `street
  connecting   0.0s connected=12/400
  warning: the load tester lags
  measuring    1.0s offered=100/s achieved=98/s refused=2/s p50=3.1ms p99=9.0ms max=21.0ms missed=2.50% total_missed=2.50% server=1.25cores generator=0.50cores lag_p99=0.0ms
a remark
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// Each settled second is a line of its own; a second that takes its time is told
// when another is over. The last one may be a part of a second.
func TestSecondsAreShownOnce(t *testing.T) {
	var out bytes.Buffer
	v := newLines(&out, viewOptions)
	waits := func(at time.Duration) Snapshot {
		return Snapshot{Title: "street", Phase: Measuring, Elapsed: at, Participants: 8, Second: Second{Connected: 8}}
	}
	settled := func(at float64) Snapshot {
		s := waits(4 * time.Second)
		s.Phase, s.Second.At, s.Second.Counts = Settling, at, Counts{Offered: 10, Achieved: 10, DeliveriesExpected: 80, DeliveriesReceived: 80}
		return s
	}
	onScreen := &state{}
	for _, s := range []Snapshot{waits(time.Second), settled(1), waits(2 * time.Second), waits(3 * time.Second), settled(2), settled(3), settled(3.5), waits(4 * time.Second)} {
		v.Show(s)
		onScreen.show(s, time.Time{})
	}
	const rest = " refused=0/s p50=0.0ms p99=0.0ms max=0.0ms missed=0% total_missed=0% generator=0.00cores lag_p99=0.0ms\n"
	want := "street\n" +
		"  measuring    1.0s offered=10/s achieved=10/s" + rest +
		"  measuring    3.0s connected=8/8\n" +
		"  measuring    2.0s offered=10/s achieved=10/s" + rest +
		"  measuring    3.0s offered=10/s achieved=10/s" + rest +
		"  measuring    3.5s offered=20/s achieved=20/s" + rest
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if len(onScreen.seconds) != 4 || onScreen.now.Second.At != 3.5 || onScreen.now.Phase != Measuring {
		t.Errorf("on the screen: %d seconds, %+v", len(onScreen.seconds), onScreen.now)
	}
}

func TestTheViewFitsTheTerminal(t *testing.T) {
	r := sample(1, 90, 1)
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 200).Draw(t, "width")
		seconds := r.Series[:rapid.IntRange(0, len(r.Series)).Draw(t, "seconds")]
		s := measuring(&r, 3)
		s.Phase = rapid.SampledFrom([]Phase{Starting, Connecting, WarmingUp, Measuring, Settling, Done}).Draw(t, "phase")
		s.Warning = rapid.SampledFrom([]string{"", "the load tester, not the server, may be the limit"}).Draw(t, "warning")
		s.Length = rapid.SampledFrom([]time.Duration{0, 12 * time.Second}).Draw(t, "length")
		for line := range strings.SplitSeq(draw(&s, s.Elapsed, seconds, viewOptions, width), "\n") {
			if w := ansi.StringWidth(line); w > max(width, 8) {
				t.Fatalf("a line of %d columns in %d: %q", w, width, line)
			}
		}
	})
}

// Where a crowd is dense, every view tells of the nearest, and a merge adds them up.
func TestTheNearestAreShown(t *testing.T) {
	r := denseSample(1)
	s := measuring(&r, 3)
	s.TotalNearest = &r.Nearest.NearestCounts
	for name, text := range map[string]string{
		"line": lineOf(&s), "screen": draw(&s, s.Elapsed, r.Series, viewOptions, 100),
	} {
		if !strings.Contains(text, "nearest") || !strings.Contains(text, "25.0%") {
			t.Errorf("%s: %s", name, text)
		}
	}
	folder := t.TempDir()
	if err := WritePage(folder, 0, r, denseSample(2)); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Missed by the nearest 24", "to the 24 nearest", "updates, at the 24 nearest", "Goodput, nearest alone"} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("the page lacks %q", part)
		}
	}
	both, err := Merge(r, denseSample(2))
	if err != nil {
		t.Fatal(err)
	}
	if n := both.Nearest; n.DeliveriesExpected != 2*r.Nearest.DeliveriesExpected || n.MissRate != 0.25 || n.GoodputPerS != r.Nearest.GoodputPerS {
		t.Errorf("%+v", n)
	}
}

// denseSample is a run of which each second has four deliveries to the nearest, one
// of them missed.
func denseSample(seed uint64) Run {
	r := sample(seed, 90, 1)
	r.Nearest, r.Histograms.NearestUS = &Nearest{Count: 24}, r.Histograms.LatencyUS.Clone()
	for i := range r.Series {
		n := NearestCounts{Goodput: 3, ActionsMissed: 1, DeliveriesExpected: 4, DeliveriesReceived: 3, DeliveriesMissed: 1, DeliveriesAdmitted: 4, AdmittedMissed: 1}
		r.Series[i].Nearest = &n
		r.Nearest.Add(n)
	}
	r.Derive()
	return r
}

func TestTheViewMarksWhatIsOverTheLimit(t *testing.T) {
	r := sample(1, 90, 1)
	s := measuring(&r, 3)
	s.Second.P99MS, s.Total.DeliveriesMissed = 40, s.Total.DeliveriesExpected/2
	text := draw(&s, s.Elapsed, r.Series, viewOptions, 100)
	for _, marked := range []string{bad.Styled("p99 40.0 ms"), bad.Styled("50.0% so far")} {
		if !strings.Contains(text, marked) {
			t.Errorf("%q is not in\n%s", marked, text)
		}
	}
}

// A terminal that takes nothing must not hold the run up.
func TestShowingNeverWaits(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	v := newScreen(write, viewOptions)
	r := sample(1, 90, 1)
	for i := range 2_000 {
		v.Show(measuring(&r, i%12))
		v.Note(fmt.Sprintf("%d %s", i, strings.Repeat("x", 200)))
	}
	drained := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(read)
		drained <- all
	}()
	v.Close()
	v.Close()
	<-v.drawn
	write.Close()
	if all := <-drained; !bytes.Contains(all, []byte("more lines")) {
		t.Errorf("the screen got %.300q…", all)
	}
}

func TestNotesComeLineByLine(t *testing.T) {
	var out bytes.Buffer
	w := NotesTo(newLines(&out, viewOptions))
	for _, part := range []string{"one\ntw", "o\n", "three"} {
		if n, err := io.WriteString(w, part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if out.String() != "one\ntwo\n" {
		t.Errorf("%q", out.String())
	}
}

func TestFiguresAreWrittenShortly(t *testing.T) {
	for x, want := range map[float64]string{0: "0%", 1e-6: "<0.001%", 0.0004: "0.040%", 0.0123: "1.23%", 0.5: "50.0%"} {
		if got := percent(x); got != want {
			t.Errorf("percent(%v) = %s, want %s", x, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
}
