package linkproxy_test

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/internal/linkproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers each line with itself until the listener closes.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					fmt.Fprintln(c, lines.Text())
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *linkproxy.Proxy) net.Conn {
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ask(c net.Conn, wait time.Duration) error {
	if _, err := fmt.Fprintln(c, "hello"); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	_, err := bufio.NewReader(c).ReadString('\n')
	return err
}

func TestCutStallHeal(t *testing.T) {
	p, err := linkproxy.New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := dial(t, p)
	if err := ask(c, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if ask(c, 5*time.Second) == nil || ask(dial(t, p), 5*time.Second) == nil {
		t.Error("something came through a cut link")
	}
	p.Heal()
	c = dial(t, p)
	if err := ask(c, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	p.Stall()
	if ask(c, 20*time.Millisecond) == nil {
		t.Error("something came through a stalled link")
	}
	p.Heal()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Errorf("what was stalled did not flow on: %v", err)
	}
	p.Break()
	if ask(c, 5*time.Second) == nil {
		t.Error("a broken connection goes on")
	}
	if err := ask(dial(t, p), 5*time.Second); err != nil {
		t.Error("no new connection after Break")
	}
}

// While answers are stalled the target still hears.
func TestAnswersAreStalledAndLost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := linkproxy.New(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := dial(t, p)
	target, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	p.StallAnswers()
	fmt.Fprintln(c, "hello")
	if _, err := bufio.NewReader(target).ReadString('\n'); err != nil {
		t.Errorf("the target heard nothing: %v", err)
	}
	fmt.Fprintln(target, "hello")
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("an answer came through")
	}
	p.Break()
	p.Heal()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, _ := c.Read(make([]byte, 1)); n > 0 {
		t.Error("a lost answer came")
	}
}
