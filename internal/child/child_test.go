package child_test

import (
	"bufio"
	"errors"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/internal/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAProcessIsEnded(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("here\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "here\n" {
		t.Errorf("it said %q, %v", line, err)
	}
	for range 2 { // the second time it is gone already
		if err := p.End(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if p.Status() == nil {
		t.Error("a process that was killed is said to have ended well")
	}
}

// What is set of the thread is set of the process, and an error starts nothing.
func TestPrepared(t *testing.T) {
	thread := 0
	p, err := child.StartFrom(exec.Command("true"), func() error {
		thread++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if err := p.Status(); err != nil || thread != 1 {
		t.Errorf("ended with %v, prepared %d times", err, thread)
	}
	wrong := errors.New("wrong")
	if _, err := child.StartFrom(exec.Command("true"), func() error { return wrong }); err != wrong {
		t.Errorf("started: %v", err)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	if _, err := child.Start(exec.Command("/no/such/program")); err == nil {
		t.Error("it was started")
	}
}
