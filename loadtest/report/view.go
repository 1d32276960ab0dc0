package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
)

// View shows a run while it goes on. Show and Note never wait for the terminal.
// All may be called from several goroutines; Close is the last.
type View interface {
	Show(Snapshot)    // about once a second
	Note(line string) // something that stays on the screen, above what moves
	Close()           // leaves the last state on the screen; again does nothing
}

// ViewOptions say what the figures are held against.
type ViewOptions struct {
	Deadline time.Duration // D; what is slower is marked
	MaxMiss  float64       // the miss rate that is allowed; 0 shows none
	Plain    bool          // lines even in a terminal
}

// NewView makes a view: in a terminal one that is redrawn in place, elsewhere
// (a pipe, a file, TERM=dumb) a line for each snapshot. NO_COLOR turns colours
// off.
func NewView(out *os.File, options ViewOptions) View {
	dumb := os.Getenv("TERM") == "dumb"
	if options.Plain || dumb || !term.IsTerminal(out.Fd()) {
		return newLines(out, options)
	}
	return newScreen(out, options)
}

// NotesTo makes a writer that notes what is written to it line by line, so that
// a log does not tear the view apart.
func NotesTo(v View) io.Writer { return &notes{view: v} }

type notes struct {
	mu   sync.Mutex
	view View
	part string
}

func (n *notes) Write(data []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.part += string(data)
	for {
		line, rest, found := strings.Cut(n.part, "\n")
		if !found {
			return len(data), nil
		}
		n.part = rest
		n.view.Note(line)
	}
}

// lines is a view for pipes.
type lines struct {
	mu      sync.Mutex
	out     io.Writer
	options ViewOptions
	title   string
	warned  bool
	quiet   bool // the last snapshot said nothing new
}

func newLines(out io.Writer, options ViewOptions) *lines { return &lines{out: out, options: options} }

func (l *lines) Show(s Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Title != l.title {
		l.title = s.Title
		fmt.Fprintln(l.out, s.Title)
	}
	if s.Warning != "" && !l.warned { // its figures change every second
		fmt.Fprintln(l.out, "  warning:", s.Warning)
	}
	l.warned = s.Warning != ""
	nothing := s.Second.At == 0 && s.Second.Offered == 0 && (s.Phase == Measuring || s.Phase == Settling)
	if nothing && !l.quiet { // its second is about to be settled
		l.quiet = true
		return
	}
	l.quiet = nothing
	fmt.Fprintln(l.out, "  "+lineOf(&s))
}

func (l *lines) Note(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, line)
}

func (l *lines) Close() {}

// lineOf writes a snapshot in one line of name=value that tools can cut.
func lineOf(s *Snapshot) string {
	n := &s.Second
	phase, at := s.Phase, s.Elapsed.Seconds()
	if n.At > 0 { // whenever it was settled
		phase, at = Measuring, n.At
	}
	line := fmt.Sprintf("%-10s %5.1fs", phase, at)
	switch {
	case s.Phase == Starting || s.Phase == Done:
		return strings.TrimSpace(line)
	case n.Offered == 0:
		return fmt.Sprintf("%s connected=%d/%d", line, n.Connected, s.Participants)
	}
	line += fmt.Sprintf(" offered=%d/s achieved=%d/s refused=%d/s p50=%.1fms p99=%.1fms max=%.1fms missed=%s total_missed=%s",
		n.perSecond(n.Offered), n.perSecond(n.Achieved), n.perSecond(n.Refused), n.P50MS, n.P99MS, n.MaxMS, percent(n.MissRate()), percent(s.Total.missRate()))
	if n.Nearest != nil {
		line += fmt.Sprintf(" nearest_goodput=%d/s nearest_missed=%s", n.perSecond(n.Nearest.Goodput), percent(n.Nearest.missRate()))
	}
	if n.ServerCPUS != nil {
		line += fmt.Sprintf(" server=%.2fcores", *n.ServerCPUS/n.length())
	}
	line += fmt.Sprintf(" generator=%.2fcores lag_p99=%.1fms", n.GeneratorCPUS/n.length(), n.LagP99MS)
	if s.Participants > 0 && n.Connected != s.Participants {
		line += fmt.Sprintf(" connected=%d/%d", n.Connected, s.Participants)
	}
	return line
}

// percent writes a share with as many digits as say something.
func percent(x float64) string {
	switch p := 100 * x; {
	case p == 0:
		return "0%"
	case p < 0.001:
		return "<0.001%"
	case p < 0.1:
		return fmt.Sprintf("%.3f%%", p)
	case p < 10:
		return fmt.Sprintf("%.2f%%", p)
	default:
		return fmt.Sprintf("%.1f%%", p)
	}
}

// grouped writes a whole number with thousands kept apart.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return sign + text
}
