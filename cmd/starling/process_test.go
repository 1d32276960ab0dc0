package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/internal/servertest"
)

// asCommand makes the test binary the starling command itself.
const asCommand = "RUN_AS_STARLING"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" { // what the command starts is the command, too
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const testKey = "a key of thirty-two bytes or more"

// process is a starling command that runs. It ends with the test.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{}
	status error // once exited

	mu      sync.Mutex
	output  bytes.Buffer // both streams
	written chan struct{}
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.written <- struct{}{}:
	default:
	}
	return p.output.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// launch starts the command with arguments, under an environment of its own.
func launch(t *testing.T, env []string, arguments ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self, arguments...), exited: make(chan struct{}), written: make(chan struct{}, 1)}
	p.cmd.Env = append([]string{asCommand + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE")}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	// The parent-death signal follows the thread that started the process.
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.status = p.cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%v:\n%s", arguments, p.said())
		}
	})
	return p
}

// patience is how long a test waits for what must happen: a loaded machine may
// take seconds for what a quiet one does in a millisecond.
const patience = 90 * time.Second

// find waits until the process prints what fits the pattern, and gives its
// first group.
func (p *process) find(pattern string) string {
	p.t.Helper()
	fits := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		if found := fits.FindStringSubmatch(p.said()); found != nil {
			return found[len(found)-1]
		}
		select {
		case <-p.written:
		case <-p.exited:
			if fits.MatchString(p.said()) {
				continue
			}
			p.t.Fatalf("ended (%v) before it printed %s", p.status, pattern)
		case <-limit:
			p.t.Fatalf("did not print %s", pattern)
		}
	}
}

// terminate sends SIGTERM and wants the process to end well, in time.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.exited:
		if p.status != nil {
			p.t.Errorf("ended with %v", p.status)
		}
	case <-time.After(patience):
		p.t.Fatal("did not stop")
	}
}

// dev runs `starling dev` and gives its page's address and key.
func dev(t *testing.T, arguments ...string) (p *process, url, key string) {
	t.Helper()
	patient := []string{"dev", "--listen", "127.0.0.1:0", "--set", "gateway.drain_time=100ms"}
	for _, one := range servertest.Patient() {
		patient = append(patient, "--set", one)
	}
	p = launch(t, nil, append(patient, arguments...)...)
	url, key = p.find(`page +(https?://\S+)`), p.find(`key +(\S+)`)
	p.find(`(Ctrl-C stops)`)
	return p, url, key
}

// serve runs `starling serve` and gives its address and its peer port's.
func serve(t *testing.T, arguments ...string) (p *process, listen, peer string) {
	t.Helper()
	p = launch(t, []string{"STARLING_AUTH_KEY=" + testKey}, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--set", "gateway.drain_time=100ms",
	}, arguments...)...)
	return p, p.find(`"msg":"serving".*"listen":"([^"]+)"`), p.find(`"peer":"([^"]+)"`)
}

// run runs the command in this process and gives what it prints.
func run(in string, arguments ...string) (string, error) {
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(arguments)
	cmd.SetOut(&out)
	cmd.SetIn(strings.NewReader(in))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t, time.Minute), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	reply, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("still not: %s", what)
		}
	}
}

func mint(t *testing.T, key, name string) string {
	t.Helper()
	token, err := auth.Mint([]byte(key), name, server.DevScopes, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// join connects a participant to the websocket of a page.
func join(t *testing.T, url, token string, o starling.Options) *starling.Client {
	t.Helper()
	c, err := tryJoin(t, url, token, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryJoin(t *testing.T, url, token string, o starling.Options) (*starling.Client, error) {
	o.Token = starling.StaticToken(token)
	if o.Start == nil {
		o.Start = starling.Geographic(25.0339, 121.5645, 0)
	}
	o.Ring = 1
	o.Dialer = &websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	url = "ws" + strings.TrimPrefix(strings.TrimSuffix(url, "/"), "http") + server.Endpoint
	c, err := starling.Dial(within(t, time.Minute), url, o)
	if err == nil {
		t.Cleanup(func() {
			_ = c.Close()
			<-c.Done()
		})
	}
	return c, err
}

// spoken says one thing and waits until it is acknowledged.
func spoken(t *testing.T, c *starling.Client, text string) {
	t.Helper()
	if _, err := c.Speak(within(t, time.Minute), text); err != nil {
		t.Errorf("saying %q: %v", text, err)
	}
}

// listener gives a client's events by text.
func listener() (starling.Options, func(t *testing.T, text string)) {
	heard := make(chan string, 1000)
	o := starling.Options{OnEvent: func(_ uint64, e *starlingv1.Event) { heard <- e.GetText() }}
	return o, func(t *testing.T, text string) {
		t.Helper()
		limit := time.After(patience)
		for {
			select {
			case got := <-heard:
				if got == text {
					return
				}
			case <-limit:
				t.Fatal(fmt.Errorf("%q was not heard", text))
			}
		}
	}
}
