package report

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// beside makes up what the yardstick did beside a run.
func beside(r Run, achieved int64, cpu float64) Run {
	r.Backend = Starling
	r.Yardstick = &Measure{
		WaitMS: 10, Achieved: achieved, CPUS: cpu,
		DeliveriesExpected: 8 * achieved, DeliveriesReceived: 8 * achieved, DeliveriesMissed: achieved / 10,
	}
	r.Derive()
	return r
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-3*max(1, math.Abs(b)) }

// However runs are merged: the ratio is that of all processor time for all actions.
func TestRatiosMergeWithoutLoss(t *testing.T) {
	first, second := sample(1, 40, 0.9), sample(2, 40, 0.9)
	rapid.Check(t, func(t *rapid.T) {
		a := beside(first, rapid.Int64Range(1, 1e6).Draw(t, "achieved"), rapid.Float64Range(0.01, 100).Draw(t, "cpu"))
		b := beside(second, rapid.Int64Range(1, 1e6).Draw(t, "achieved"), rapid.Float64Range(0.01, 100).Draw(t, "cpu"))
		both, err := Merge(a, b)
		if err != nil {
			t.Fatal(err)
		}
		actions := float64(a.Yardstick.Achieved + b.Yardstick.Achieved)
		costs := 1e6 * (a.Yardstick.CPUS + b.Yardstick.CPUS) / actions
		if y := both.Yardstick; !near(y.CPUUSPerAction, costs) || !near(*y.CPURatio, both.Server.CPUUSPerAction/costs) ||
			!near(y.MissRate, float64(a.Yardstick.DeliveriesMissed+b.Yardstick.DeliveriesMissed)/(8*actions)) {
			t.Fatalf("%+v, want %v us/action", y, costs)
		}
		if a.Yardstick.Achieved+b.Yardstick.Achieved != both.Yardstick.Achieved || a.Yardstick == both.Yardstick {
			t.Fatal("merging changed what was merged")
		}
	})
}

func TestAMeasureOfSomeRunsIsOfNone(t *testing.T) {
	a, b := beside(sample(1, 40, 0.9), 100, 1), beside(sample(2, 40, 0.9), 100, 1)
	b.Yardstick = nil
	for _, runs := range [][]Run{{a, b}, {b, a}} {
		both, err := Merge(runs...)
		if err != nil || both.Yardstick != nil {
			t.Errorf("%+v, %v", both.Yardstick, err)
		}
	}
	b.Backend = Yardstick
	if _, err := Merge(a, b); err == nil {
		t.Error("runs of the yardstick merge with those of a Starling")
	}
}

func TestMeasureOfARun(t *testing.T) {
	r := sample(3, 40, 0.9)
	r.WaitMS, r.GeneratorLimited = 7, true
	m := MeasureOf(&r)
	if m.WaitMS != 7 || m.Achieved != r.Achieved || !near(m.CPUUSPerAction, r.Server.CPUUSPerAction) || m.MissRate != r.MissRate || m.CPURatio != nil {
		t.Errorf("%+v", m)
	}
	if text := m.Text(0.01); !strings.Contains(text, "waits 7 ms") || strings.Contains(text, "times as much") || !strings.Contains(text, "was the yardstick's limit") {
		t.Error(text)
	}
	r.Server = nil
	if m = MeasureOf(&r); m.CPUUSPerAction != 0 || m.CPURatio != nil {
		t.Errorf("%+v", m)
	}
}

func TestAFileKeepsTheYardstick(t *testing.T) {
	r := beside(sample(1, 40, 0.9), 1000, 0.5)
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := back[0].Yardstick, r.Yardstick; back[0].Backend != Starling || *got.CPURatio != *want.CPURatio || got.Achieved != want.Achieved || got.WaitMS != want.WaitMS {
		t.Errorf("%+v, want %+v", got, want)
	}
	folder := t.TempDir()
	if err := WritePage(folder, 0.01, r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "index.html"))
	if err != nil || !bytes.Contains(page, []byte("Against the yardstick")) {
		t.Errorf("the page says nothing of it (%v)", err)
	}
}

func TestALimitBesideTheYardsticks(t *testing.T) {
	l := Limit{Found: true, RatePerS: 6000}
	l.Measured(10, &Limit{Found: true, RatePerS: 8000, LowPerS: 8000, HighPerS: 9000})
	if l.Yardstick.Ratio != 0.75 || !strings.Contains(l.Yardstick.Text(), "holds 0.75 of it") {
		t.Errorf("%+v: %s", l.Yardstick, l.Yardstick.Text())
	}
	l.Measured(0, &Limit{})
	if l.Yardstick.Ratio != 0 || !strings.Contains(l.Yardstick.Text(), "not even the lowest") {
		t.Errorf("%+v: %s", l.Yardstick, l.Yardstick.Text())
	}
	if err := WriteLimitPage(t.TempDir(), &l); err != nil {
		t.Error(err)
	}
}

func TestWhatWasBehind(t *testing.T) {
	for want, r := range map[string]Run{
		"":                             {},
		"yardstick":                    {Backend: Yardstick},
		"yardstick that waits 7.5 ms":  {Backend: Yardstick, WaitMS: 7.5},
		"store redis, durability disk": {Backend: Starling, Store: "redis", Durability: "disk"},
	} {
		if got := r.Behind(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
