package report

import (
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// screen is a view that is redrawn in place. The program that draws asks for
// the state, so that a terminal that stands still holds nobody up.
type screen struct {
	state
	program *tea.Program
	drawn   chan struct{} // closed when the program has ended
	once    sync.Once
}

// state is what the view shows; written by the run, read by the program.
type state struct {
	mu      sync.Mutex
	now     Snapshot
	at      time.Time // of now
	seconds []Second  // of this title
	notes   []string  // not yet printed
	dropped int
}

const (
	redraws   = 4   // a second: the load tester needs the processor more
	mostNotes = 100 // that wait; a terminal that stands still gets no more
	mostPast  = 400 // seconds kept for the curves, wider than terminals are
)

func newScreen(out *os.File, options ViewOptions) *screen {
	s := &screen{drawn: make(chan struct{})}
	settings := []tea.ProgramOption{
		tea.WithInput(nil), tea.WithOutput(out),
		tea.WithoutSignalHandler(), tea.WithFPS(2 * redraws),
	}
	if os.Getenv("NO_COLOR") != "" { // any value counts: no-color.org
		settings = append(settings, tea.WithColorProfile(colorprofile.ASCII))
	}
	s.program = tea.NewProgram(&model{state: &s.state, options: options, width: 80}, settings...)
	go func() {
		defer close(s.drawn)
		_, _ = s.program.Run() // a terminal that went away does not end the run
	}()
	return s
}

func (s *screen) Show(now Snapshot) { s.show(now, time.Now()) }

func (s *state) show(now Snapshot, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Title != s.now.Title {
		s.seconds = s.seconds[:0]
	}
	if last := s.now.Second; now.Second.At == 0 && now.Title == s.now.Title && len(s.seconds) > 0 { // nothing new: the last figures stay
		last.Connected = now.Second.Connected
		now.Second = last
	}
	if now.Second.Offered > 0 && (len(s.seconds) == 0 || s.seconds[len(s.seconds)-1].At != now.Second.At) {
		if len(s.seconds) == mostPast {
			s.seconds = s.seconds[:copy(s.seconds, s.seconds[1:])]
		}
		s.seconds = append(s.seconds, now.Second)
	}
	s.now, s.at = now, at
}

// end takes a run that waited for the last of its updates for done.
func (s *state) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.Phase == Settling {
		s.now.Phase = Done
	}
}

func (s *screen) Note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.notes) == mostNotes {
		s.dropped++
		return
	}
	s.notes = append(s.notes, line)
}

// patience bounds the wait for a terminal that takes nothing.
const patience = 2 * time.Second

func (s *screen) Close() {
	s.once.Do(func() {
		go s.program.Send(finish{})
		select {
		case <-s.drawn:
		case <-time.After(patience):
			s.program.Kill()
		}
	})
}

type (
	tick   struct{}
	finish struct{}
)

// model draws the state (bubbletea's words: Init, Update, View).
type model struct {
	state   *state
	options ViewOptions
	width   int
}

func (m *model) Init() tea.Cmd { return nextTick() }

func nextTick() tea.Cmd {
	return tea.Tick(time.Second/redraws, func(time.Time) tea.Msg { return tick{} })
}

func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width = message.Width
	case tick:
		return m, tea.Batch(m.printNotes(), nextTick())
	case finish:
		m.state.end()
		return m, tea.Sequence(m.printNotes(), tea.Quit)
	}
	return m, nil
}

func (m *model) printNotes() tea.Cmd {
	m.state.mu.Lock()
	defer m.state.mu.Unlock()
	var prints []tea.Cmd
	for _, note := range m.state.notes {
		prints = append(prints, tea.Println(note))
	}
	if m.state.dropped > 0 {
		prints = append(prints, tea.Printf("… and %d more lines", m.state.dropped))
	}
	m.state.notes, m.state.dropped = m.state.notes[:0], 0
	return tea.Sequence(prints...)
}

func (m *model) View() tea.View {
	m.state.mu.Lock()
	defer m.state.mu.Unlock()
	elapsed := m.state.now.Elapsed
	if m.state.now.Phase != Done {
		elapsed += time.Since(m.state.at)
	}
	return tea.NewView(draw(&m.state.now, elapsed, m.state.seconds, m.options, m.width))
}
