package report

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMergingKeepsEveryCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfN(rapid.Custom(anyRun), 1, 3).Draw(t, "runs")
		all, err := Merge(runs...)
		if err != nil {
			t.Fatal(err)
		}
		var counts Counts
		latencies, seconds := NewHistogram(), 0
		for i := range runs {
			counts.Add(runs[i].Counts)
			latencies.Add(runs[i].Histograms.LatencyUS)
			seconds += len(runs[i].Series)
		}
		if all.Counts != counts || !all.Histograms.LatencyUS.Equal(latencies) || len(all.Series) != seconds || all.Runs != len(runs) {
			t.Fatalf("something was lost: %+v of %+v", all.Counts, counts)
		}
		if err := all.check(); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(all.Series, func(a, b Second) int { return int(math.Copysign(1, a.At-b.At)) }) {
			t.Fatal("seconds out of order")
		}
	})
}

func TestMergingInAnyGrouping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyRun(t), anyRun(t), anyRun(t)
		merge := func(runs ...Run) Run {
			all, err := Merge(runs...)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		left, right := merge(merge(a, b), c), merge(a, merge(b, c))
		if left.Counts != right.Counts || left.LatencyMS != right.LatencyMS || left.MissRate != right.MissRate || !slices.Equal(left.Seeds, right.Seeds) {
			t.Fatalf("(a+b)+c is not a+(b+c):\n%+v\n%+v", left.Counts, right.Counts)
		}
	})
}

func TestMergingLeavesTheRunsAlone(t *testing.T) {
	a, b := sample(1, 40, 1), sample(2, 40, 1)
	before := written(t, a)
	if _, err := Merge(a, b); err != nil {
		t.Fatal(err)
	}
	if string(written(t, a)) != string(before) {
		t.Error("merging changed a run")
	}
}

func TestOnlyAlikeRunsMerge(t *testing.T) {
	a, b := sample(1, 40, 1), sample(2, 40, 1)
	b.Durability = "memory"
	if _, err := Merge(a, b); err == nil || !strings.Contains(err.Error(), "durability") {
		t.Errorf("error is %v", err)
	}
	if _, err := Merge(); err == nil {
		t.Error("nothing merges into something")
	}
}

func TestFairnessOfRefusals(t *testing.T) {
	even, one := NewHistogram(), NewHistogram()
	even.RecordN(500_000, 100)
	one.RecordN(1_000_000, 99)
	one.Record(0)
	if s := refusalSpread(even); math.Abs(s.Jain-1) > 0.001 || s.Hit != 100 {
		t.Errorf("evenly refused: %+v", s)
	}
	if s := refusalSpread(one); math.Abs(s.Jain-0.01) > 0.001 || s.Hit != 99 || s.Most != 1 || s.Least != 0 {
		t.Errorf("all but one refused: %+v", s)
	}
}
