package trigger

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/charmbracelet/x/term"
)

// View shows a test while it goes on: in a terminal a few lines that are drawn anew
// with each turn, elsewhere a line for each.
type View struct {
	mu    sync.Mutex
	out   io.Writer
	live  bool
	drawn int // lines that the next drawing replaces
	past  []float64
	floor *Progress // the empty function's last turn
}

// NewView makes a view.
func NewView(out *os.File, plain bool) *View {
	return &View{out: out, live: !plain && os.Getenv("TERM") != "dumb" && term.IsTerminal(out.Fd())}
}

// Show shows what a test said.
func (v *View) Show(p Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case p.Note != "":
		v.erase()
		fmt.Fprintln(v.out, p.Note)
	case v.live:
		v.draw(&p)
	default:
		fmt.Fprintln(v.out, "  "+line(&p))
	}
	if p.Empty {
		v.floor = &p
	}
}

// line writes a turn in one line of name=value that tools can cut.
func line(p *Progress) string {
	what := "network"
	if p.Empty {
		what = "empty_loop"
	}
	text := fmt.Sprintf("%-10s %5.1fs rate=%s within_150ns=%s within_300ns=%s within_3us=%s p50=%dns p99=%dns lost=%d",
		what, p.Elapsed, strings.ReplaceAll(perSecond(p.RatePerS), " ", ""), percent(p.Within.NS150), percent(p.Within.NS300), percent(p.Within.US3), p.P50NS, p.P99NS, p.Lost)
	if !p.Empty {
		text += fmt.Sprintf(" selected=%d chain=%d samples=%d weights=%d", p.Selected, p.Chain, p.Samples, p.Version)
	}
	return text
}

func percent(share float64) string { return fmt.Sprintf("%.2f%%", 100*share) }

// mostPast is how many turns the curve shows.
const mostPast = 60

func (v *View) draw(p *Progress) {
	v.erase()
	lines := []string{bar(p)}
	if !p.Empty {
		if v.past = append(v.past, p.Within.NS300); len(v.past) > mostPast {
			v.past = v.past[1:]
		}
		lines = append(lines, "network     "+figures(p))
		if v.floor != nil {
			lines = append(lines, "empty loop  "+figures(v.floor))
		}
		lines = append(lines, "within 300 ns, by turn  "+curve(v.past),
			fmt.Sprintf("selected %d, chain %d, samples %d, weights version %d", p.Selected, p.Chain, p.Samples, p.Version))
	} else {
		lines = append(lines, "empty loop  "+figures(p))
	}
	fmt.Fprintln(v.out, strings.Join(lines, "\n"))
	v.drawn = len(lines)
}

// erase goes back to where the last drawing began and clears to the end (ECMA-48:
// CUU, ED).
func (v *View) erase() {
	if v.drawn > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

func bar(p *Progress) string {
	const width = 40
	done := int(min(p.Elapsed/max(p.Length, 1e-9), 1) * width)
	return fmt.Sprintf("[%s%s] %.1f of %.1f s", strings.Repeat("=", done), strings.Repeat(" ", width-done), p.Elapsed, p.Length)
}

func figures(p *Progress) string {
	return fmt.Sprintf("%11s   within 150 ns %7s   300 ns %7s   3 us %7s   p50 %d ns",
		perSecond(p.RatePerS), percent(p.Within.NS150), percent(p.Within.NS300), percent(p.Within.US3), p.P50NS)
}

// perSecond writes a rate in millions, or plainly where that would say nothing.
func perSecond(rate float64) string {
	if rate < 1e4 {
		return fmt.Sprintf("%.4g /s", rate)
	}
	return fmt.Sprintf("%.4g M/s", rate/1e6)
}

// curve draws shares from 0 to 1 with blocks of eight heights.
func curve(shares []float64) string {
	var b strings.Builder
	for _, s := range shares {
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[int(min(max(s, 0), 1)*7.999)])
	}
	return b.String()
}
