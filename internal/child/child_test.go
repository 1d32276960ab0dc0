package child_test

import (
	"bufio"
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

func TestAProgramThatIsNotThere(t *testing.T) {
	if _, err := child.Start(exec.Command("/no/such/program")); err == nil {
		t.Error("it was started")
	}
}
