// Package pagetest plays a visitor of the page in a real browser.
package pagetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// action is a step in the browser that gives no value.
type action = chromedp.Action[chromedp.Void]

// browsers that speak the DevTools protocol, as systems call them.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// findBrowser gives the path of an installed browser, or says how to get one.
func findBrowser(t testing.TB) string {
	t.Helper()
	for _, name := range browsers {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	t.Fatalf("no browser found (%s): apt-get install chromium", strings.Join(browsers, ", "))
	return ""
}

// complaints collects what the browser's console says went wrong.
type complaints struct {
	mu   sync.Mutex
	said []string
}

// listen takes what the console says until the browser ends.
func (c *complaints) listen(ctx context.Context) {
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			c.take(m)
		}
	}()
}

func (c *complaints) take(m chromedp.ConsoleMessage) {
	if m.Type != "error" && m.Type != "warning" && m.Type != chromedp.ConsoleException || harmless(m.Text) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, fmt.Sprintf("%s: %s (%s:%d)", m.Type, m.Text, m.URL, m.Line))
}

// harmless are remarks on a machine without a graphics card.
func harmless(text string) bool {
	return strings.Contains(text, "GPU stall") || strings.Contains(text, "software WebGL") || strings.Contains(text, "GL Driver Message")
}

// all gives what was said so far.
func (c *complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.said...)
}

// open starts a browser of its own with a fresh profile; it ends with the test.
func open(t testing.TB, width, height int, dark bool) (context.Context, *complaints) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findBrowser(t)),
		chromedp.NoSandbox,
		chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// Without a graphics card WebGL is drawn by the processor.
		chromedp.Flag("use-gl", "angle"),
		chromedp.Flag("use-angle", "swiftshader"),
		chromedp.Flag("enable-unsafe-swiftshader", true),
		chromedp.Flag("disable-gpu", false),
	)
	allocator, stopBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stopBrowser)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	said := &complaints{}
	said.listen(ctx)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height)), scheme(dark)); err != nil {
		t.Fatal(err)
	}
	return ctx, said
}

// scheme tells the page what the system prefers.
func scheme(dark bool) action {
	value := "light"
	if dark {
		value = "dark"
	}
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
		})
		return err
	})
}

// picture saves what the page shows as a PNG.
func picture(folder, name string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if folder == "" {
			return nil
		}
		png, err := chromedp.CaptureScreenshot()(ctx, t)
		if err != nil {
			return fmt.Errorf("picture %s: %w", name, err)
		}
		return os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)
	})
}
