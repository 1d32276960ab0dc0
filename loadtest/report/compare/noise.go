package compare

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/starling-vr/starling/loadtest/report"
)

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// variance of a sample; with one value, that of none.
func variance(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	m, sum := mean(values), 0.0
	for _, v := range values {
		sum += (v - m) * (v - m)
	}
	return sum / float64(len(values)-1)
}

// welch gives half of the 99 % interval of the difference of two means (Welch,
// Biometrika 34, 1947). A side with one value is taken to vary as the other.
func welch(a, b []float64) float64 {
	va, vb := variance(a), variance(b)
	na, nb := float64(len(a)), float64(len(b))
	switch {
	case len(a) == 1:
		return student(nb-1) * math.Sqrt(vb*(1+1/nb))
	case len(b) == 1:
		return student(na-1) * math.Sqrt(va*(1+1/na))
	}
	sa, sb := va/na, vb/nb
	if sa+sb == 0 {
		return 0
	}
	freedom := (sa + sb) * (sa + sb) / (sa*sa/(na-1) + sb*sb/(nb-1))
	return student(freedom) * math.Sqrt(sa+sb)
}

// student gives the 99.5 % quantile of Student's distribution, for degrees of
// freedom rounded down to those tabled.
func student(freedom float64) float64 {
	table := []struct{ freedom, quantile float64 }{
		{1, 63.657}, {2, 9.925}, {3, 5.841}, {4, 4.604}, {5, 4.032}, {6, 3.707}, {7, 3.499}, {8, 3.355}, {9, 3.250},
		{10, 3.169}, {12, 3.055}, {15, 2.947}, {20, 2.845}, {30, 2.750}, {60, 2.660}, {120, 2.617},
	}
	quantile := table[0].quantile
	for _, row := range table {
		if freedom >= row.freedom {
			quantile = row.quantile
		}
	}
	return quantile
}

const (
	resamples = 1000
	block     = 2 // seconds that are drawn together: neighbours are alike
	fewest    = 5 // seconds below which a run tells nothing of its own noise
)

// bootstrap gives half of the 99 % interval of a statistic of the seconds of a
// run: circular blocks (Politis and Romano, 1992), the same for the same run.
func bootstrap(seconds []report.Second, of func(drawn []*report.Second) float64) float64 {
	if len(seconds) < fewest {
		return 0
	}
	random := rand.New(rand.NewPCG(uint64(len(seconds)), 1))
	drawn := make([]*report.Second, 0, len(seconds)+block)
	all := make([]float64, resamples)
	for i := range all {
		drawn = drawn[:0]
		for len(drawn) < len(seconds) {
			start := random.IntN(len(seconds))
			for k := range block {
				drawn = append(drawn, &seconds[(start+k)%len(seconds)])
			}
		}
		all[i] = of(drawn[:len(seconds)])
	}
	slices.Sort(all)
	return (all[resamples*995/1000] - all[resamples*5/1000]) / 2
}

// normal is the 99.5 % quantile of the normal distribution.
const normal = 2.576

// shareWithin gives half of the 99 % interval of a share of counts. Deliveries
// of one action are late together: without seconds, an action counts as one
// draw.
func shareWithin(r *report.Run, f counted) float64 {
	if len(r.Series) >= fewest {
		return bootstrap(r.Series, func(drawn []*report.Second) float64 {
			var sum report.Counts
			for _, s := range drawn {
				sum.Add(s.Counts)
			}
			share, _ := f.share(&sum)
			return share
		})
	}
	share, ok := f.share(&r.Counts)
	if !ok || r.Offered == 0 {
		return 0
	}
	return normal * math.Sqrt(share*(1-share)/float64(r.Offered))
}

// quantileWithin gives half of the 99 % interval of a latency, taking it to
// vary as the mean of the logarithms of the seconds' own.
func quantileWithin(r *report.Run, value float64, of func(*report.Second) float64) float64 {
	logarithms := bootstrap(r.Series, func(drawn []*report.Second) float64 {
		sum, n := 0.0, 0
		for _, s := range drawn {
			if v := of(s); v > 0 {
				sum, n = sum+math.Log(v), n+1
			}
		}
		if n == 0 {
			return 0
		}
		return sum / float64(n)
	})
	return value * math.Expm1(logarithms)
}
