package pagetest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

var pageLine = regexp.MustCompile(`page\s+(http://\S+)`)

// startDev builds and runs `starling dev` with a small crowd and the trigger and gives the
// page's address. The process ends with the test.
func startDev(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "starling")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/starling-vr/starling/cmd/starling").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	dev := exec.Command(binary, "dev", "--trigger", "--crowd", "60", "--listen", "127.0.0.1:0")
	dev.Stderr = os.Stderr
	stdout, err := dev.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = dev.Process.Signal(syscall.SIGTERM)
		if err := dev.Wait(); err != nil {
			t.Errorf("starling dev ended with %v", err)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if found := pageLine.FindStringSubmatch(lines.Text()); found != nil {
			return found[1]
		}
	}
	t.Fatal("starling dev printed no address of its page")
	return ""
}

// PAGE_PICTURES names a folder that keeps what the browser showed.
func TestAVisitorOfDev(t *testing.T) {
	Visit(t, startDev(t), os.Getenv("PAGE_PICTURES"))
}
