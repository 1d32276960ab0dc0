package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// Colours are the terminal's own, so that they fit its background.
var (
	bold   = ansi.NewStyle().Bold()
	faint  = ansi.NewStyle().Faint()
	good   = ansi.NewStyle().ForegroundColor(ansi.Green)
	bad    = ansi.NewStyle().ForegroundColor(ansi.Red).Bold()
	curve  = ansi.NewStyle().ForegroundColor(ansi.Cyan)
	notice = ansi.NewStyle().ForegroundColor(ansi.Yellow)
)

const (
	margin   = 11 // width of the names of rows
	narrow   = 50 // columns below which names stand on lines of their own
	widest   = 110
	narrowIn = 2
)

// draw writes the view, no line wider than the terminal.
func draw(s *Snapshot, elapsed time.Duration, seconds []Second, options ViewOptions, width int) string {
	width = max(min(width, widest), 8)
	c := canvas{width: width}
	if s.Phase == "" {
		return ""
	}
	c.line(bold.Styled(s.Title))
	c.progress(s.Phase, elapsed, s.Length)
	n := &s.Second
	switch {
	case s.Phase == Starting:
	case s.Phase == Done:
		c.totals(&s.Total)
		c.misses(s, seconds, options)
		c.nearest(s)
	case len(seconds) == 0 || n.Offered == 0:
		c.row("connected", fmt.Sprintf("%s of %s", grouped(int64(n.Connected)), grouped(int64(s.Participants))))
	default:
		c.rates(s)
		c.latency(n, seconds, options)
		c.misses(s, seconds, options)
		c.nearest(s)
		c.resources(s)
	}
	if s.Warning != "" {
		for line := range strings.Lines(ansi.Wrap("! "+s.Warning, c.width, "")) {
			c.line(notice.Styled(strings.TrimSuffix(line, "\n")))
		}
	}
	return strings.Join(c.lines, "\n")
}

// canvas lays rows of a name and some cells out.
type canvas struct {
	width int
	lines []string
}

func (c *canvas) line(text string) {
	c.lines = append(c.lines, ansi.Truncate(text, c.width, "…"))
}

// row writes a name and its cells, on as many lines as the width needs.
func (c *canvas) row(name string, cells ...string) {
	indent := margin
	current := faint.Styled(name) + strings.Repeat(" ", max(margin-len(name), 1))
	if c.width < narrow {
		c.line(faint.Styled(name))
		indent = narrowIn
		current = strings.Repeat(" ", indent)
	}
	used, empty := indent, true
	for _, cell := range cells {
		if cell == "" {
			continue
		}
		w := ansi.StringWidth(cell)
		if !empty && used+3+w > c.width {
			c.line(current)
			current, used, empty = strings.Repeat(" ", indent), indent, true
		}
		if !empty {
			current, used = current+"   ", used+3
		}
		current, used, empty = current+cell, used+w, false
	}
	c.line(current)
}

func (c *canvas) progress(phase Phase, elapsed, length time.Duration) {
	text := string(phase)
	if phase == Done {
		c.line(good.Styled("done"))
		return
	}
	if length <= 0 {
		c.line(text + faint.Styled(fmt.Sprintf(" %.0f s", elapsed.Seconds())))
		return
	}
	elapsed = min(elapsed, length)
	text = fmt.Sprintf("%s %.0f of %.0f s ", text, elapsed.Seconds(), length.Seconds())
	room := c.width - ansi.StringWidth(text)
	if room < 5 {
		c.line(text)
		return
	}
	full := int(float64(room) * float64(elapsed) / float64(length))
	c.line(text + curve.Styled(strings.Repeat("━", full)) + faint.Styled(strings.Repeat("─", room-full)))
}

func (c *canvas) rates(s *Snapshot) {
	n := &s.Second
	refused := fmt.Sprintf("refused %s/s", grouped(n.perSecond(n.Refused)))
	if n.Refused > 0 {
		refused = notice.Styled(refused)
	}
	unanswered := ""
	if n.Unanswered > 0 {
		unanswered = notice.Styled(fmt.Sprintf("unanswered %s/s", grouped(n.perSecond(n.Unanswered))))
	}
	c.row("actions", fmt.Sprintf("offered %s/s", grouped(n.perSecond(n.Offered))), bold.Styled(fmt.Sprintf("achieved %s/s", grouped(n.perSecond(n.Achieved)))),
		fmt.Sprintf("goodput %s/s", grouped(n.perSecond(n.Goodput))), refused, unanswered)
	c.row("deliveries", fmt.Sprintf("received %s/s", grouped(n.perSecond(n.DeliveriesReceived))), fmt.Sprintf("of %s/s", grouped(n.perSecond(n.DeliveriesExpected))))
}

func (c *canvas) totals(n *Counts) {
	c.row("actions", "offered "+grouped(n.Offered), bold.Styled("achieved "+grouped(n.Achieved)), "goodput "+grouped(n.Goodput), "refused "+grouped(n.Refused))
	c.row("deliveries", "received "+grouped(n.DeliveriesReceived), "of "+grouped(n.DeliveriesExpected))
}

func (c *canvas) latency(n *Second, seconds []Second, options ViewOptions) {
	deadline := float64(options.Deadline.Microseconds()) / 1000
	p99 := fmt.Sprintf("p99 %.1f ms", n.P99MS)
	if deadline > 0 && n.P99MS > deadline {
		p99 = bad.Styled(p99)
	} else {
		p99 = bold.Styled(p99)
	}
	d := ""
	if deadline > 0 {
		d = faint.Styled(fmt.Sprintf("D %g ms", deadline))
	}
	c.row("latency", fmt.Sprintf("p50 %.1f ms", n.P50MS), p99, fmt.Sprintf("max %.1f ms", n.MaxMS), d)
	c.curve("p99", seconds, deadline, func(s *Second) float64 { return s.P99MS }, func(x float64) string { return fmt.Sprintf("%.1f ms", x) })
}

func (c *canvas) misses(s *Snapshot, seconds []Second, options ViewOptions) {
	total := percent(s.Total.missRate()) + " so far"
	switch {
	case options.MaxMiss <= 0:
	case s.Total.missRate() > options.MaxMiss:
		total = bad.Styled(total)
	default:
		total = good.Styled(total)
	}
	allowed := ""
	if options.MaxMiss > 0 {
		allowed = faint.Styled(fmt.Sprintf("%g%% allowed", 100*options.MaxMiss))
	}
	now := ""
	if s.Phase != Done {
		now = percent(s.Second.MissRate()) + " now"
	}
	c.row("missed", now, total, allowed, "actions "+percent(share(s.Total.ActionsMissed, s.Total.Offered)))
	c.curve("missed", seconds, options.MaxMiss, (*Second).MissRate, percent)
}

// nearest says how those fared who matter to a delivery budget.
func (c *canvas) nearest(s *Snapshot) {
	total := s.TotalNearest
	if total == nil {
		return
	}
	goodput := "goodput " + grouped(total.Goodput)
	now := ""
	if n := s.Second.Nearest; n != nil && s.Phase != Done {
		goodput, now = fmt.Sprintf("goodput %s/s", grouped(s.Second.perSecond(n.Goodput))), percent(n.missRate())+" missed now"
	}
	c.row("nearest", goodput, now, percent(total.missRate())+" missed so far", "of the admitted "+percent(total.admittedMissRate()))
}

func (c *canvas) resources(s *Snapshot) {
	n := &s.Second
	server, memory := faint.Styled("server not seen"), ""
	if n.ServerCPUS != nil {
		server = fmt.Sprintf("server %.2f cores", *n.ServerCPUS/n.length())
	}
	if n.ServerRSSBytes != nil {
		memory = fmt.Sprintf("%.0f MiB", float64(*n.ServerRSSBytes)/(1<<20))
	}
	c.row("resources", server, memory, fmt.Sprintf("generator %.2f cores", n.GeneratorCPUS/n.length()), fmt.Sprintf("lag p99 %.1f ms", n.LagP99MS))
	if s.Participants > 0 && n.Connected != s.Participants {
		c.row("connected", notice.Styled(fmt.Sprintf("%s of %s", grouped(int64(n.Connected)), grouped(int64(s.Participants)))))
	}
}

// curve draws the last seconds of a figure with its scale; what is above the
// limit is marked.
func (c *canvas) curve(name string, seconds []Second, limit float64, of func(*Second) float64, write func(float64) string) {
	values := make([]float64, len(seconds))
	most := 0.0
	for i := range seconds {
		values[i] = of(&seconds[i])
		most = max(most, values[i])
	}
	scale := " 0 … " + write(most)
	room := c.width - margin - len(scale)
	if room < 8 {
		return
	}
	values = values[max(len(values)-room, 0):]
	c.lines = append(c.lines, faint.Styled(fmt.Sprintf("%*s ", margin-1, name))+sparkline(values, most, limit)+faint.Styled(scale))
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws values between 0 and most as blocks.
func sparkline(values []float64, most, limit float64) string {
	var b strings.Builder
	for _, v := range values {
		height := 0
		if most > 0 {
			height = min(int(v/most*float64(len(blocks))), len(blocks)-1)
		}
		style := curve
		if limit > 0 && v > limit {
			style = bad
		}
		b.WriteString(style.Styled(string(blocks[height])))
	}
	return b.String()
}
