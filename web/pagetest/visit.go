package pagetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience bounds each wait: a processor that draws WebGL beside other tests
// is slow.
const patience = 60 * time.Second

// Visit plays a visitor of the page at url: watches, joins, walks, speaks, puts
// a ball down, touches it, grabs it and drops it, and looks at the figures and the functions. The
// page must show each effect and its console no error. Pictures, light and
// dark, are written to the folder if it is not "".
func Visit(t testing.TB, url, pictures string) {
	t.Helper()
	ctx, said := open(t, 1280, 800, true)
	for _, step := range visit(url, pictures) {
		bounded, cancel := context.WithTimeout(ctx, patience)
		err := chromedp.Do(bounded, step.actions...)
		cancel()
		if err != nil {
			t.Fatalf("%s: %v\npage: %s\nconsole: %q", step.name, err, describe(ctx), said.all())
		}
	}
	if errors := said.all(); len(errors) > 0 {
		t.Errorf("the console tells of errors: %q", errors)
	}
}

// coversNoDock: what one says and presses stays in reach below the open panel, and some
// of the table can be seen.
const coversNoDock = `((panel, dock, rows) => panel.bottom <= dock.top && rows.height >= 150)(
	...["#functions", "#speak", "#functions .scroll"].map((of) => document.querySelector(of).getBoundingClientRect()))`

type step struct {
	name    string
	actions []action
}

func visit(url, pictures string) []step {
	return []step{
		{"opening the page", []action{chromedp.Navigate(url), listenToLive()}},
		{"watching", []action{
			until(`document.body.dataset.connection === "online"`),
			until(`number("in-view") > 0 && number("rate") > 0`),
			picture(pictures, "watching-dark"),
		}},
		{"joining", []action{
			chromedp.SetValue(chromedp.CSS("#name"), "Ada"),
			chromedp.Click(chromedp.CSS("#join .primary")),
			until(`document.body.dataset.visit === "joined" && document.body.dataset.connection === "online"`),
			until(`[...document.querySelectorAll(".name")].some((name) => name.textContent === "You")`),
		}},
		{"seeing who watches", []action{until(`Number(document.querySelector("#watchers b").textContent) >= 1`)}},
		{"walking by keys", []action{
			hold("KeyW", "w"),
			until(`number("samples") >= 5`),
			releaseKey("KeyW", "w"),
		}},
		{"walking by a click", []action{
			remember("samples"),
			chromedp.MouseClickXY(330, 560),
			until(`number("samples") > window.remembered`),
		}},
		{"speaking", []action{
			chromedp.SetValue(chromedp.CSS("#text"), "Hello, flock"),
			chromedp.SendKeys(chromedp.CSS("#text"), kb.Enter),
			until(`document.querySelector(".bubble.own p")?.textContent === "Hello, flock"`),
			until(told("Hello, flock")),
		}},
		{"stopping and putting a ball down", []action{press("Escape"), press("b"), until(told("You put a ball down"))}},
		{"touching it", []action{
			until(ballAtHand),
			press("e"), until(told("You touched")),
		}},
		{"grabbing it", []action{press("g"), until(`document.body.dataset.held === "yes"`), picture(pictures, "joined-dark")}},
		{"dropping it", []action{press("g"), until(`document.body.dataset.held === "no"`)}},
		{"seeing the latency", []action{until(`number("p50") > 0 && number("p99") >= number("p50")`), until(`number("fps") > 0`)}},
		{"seeing the functions", []action{
			press("p"),
			until(`[...document.querySelectorAll("#functions-rows tr")].some((row) => row.firstChild.textContent === "move" && Number(row.children[2].textContent.replaceAll(",", "")) > 0)`),
			until(`[...document.querySelectorAll("#functions-rows tr")].some((row) => row.firstChild.textContent === "TNN_inference" && Number(row.children[2].textContent) > 0)`),
			until(`((table) => table.scrollWidth <= table.clientWidth)(document.querySelector("#functions .scroll"))`),
			until(`[...document.querySelectorAll("#functions-rows .workload")].some((row) => row.textContent.includes("simulated detector"))`),
			until(coversNoDock),
			picture(pictures, "functions-dark"),
			press("p"), until(`!document.getElementById("functions").open`),
		}},
		{"light", []action{
			scheme(false),
			until(`document.documentElement.dataset.theme === "light"`),
			picture(pictures, "joined-light"),
			press("l"), until(`document.documentElement.dataset.theme === "dark"`),
		}},
		{"help", []action{press("?"), until(`document.getElementById("help").open`), chromedp.KeyEvent(kb.Escape)}},
		{"leaving", []action{
			until(`!document.getElementById("help").open`),
			chromedp.Click(chromedp.CSS("#leave")),
			until(`document.body.dataset.visit === "watching" && document.body.dataset.connection === "online"`),
		}},
	}
}

// ballAtHand: the nearest of all is a thing, less than 10 m away.
const ballAtHand = `(() => {
	const first = document.querySelector("#nearby-list > *");
	return first !== null && first.querySelector("i.thing") !== null && /(^|[^0-9.])[0-9](\.[0-9])? m/.test(first.textContent);
})()`

// until waits for an expression of the page; number(id) is the figure shown there.
func until(expression string) action {
	script := fmt.Sprintf(`(() => {
		const number = (id) => Number(document.getElementById(id).textContent.replaceAll(",", ""));
		return Boolean(%s);
	})()`, expression)
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Poll[bool](script, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(patience))(ctx, t)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", expression, err)
		}
		return nil
	})
}

// listenToLive keeps all that the page tells screen readers: others speak too.
func listenToLive() action {
	return chromedp.Evaluate[chromedp.Void](`window.told = [];
		new MutationObserver(() => window.told.push(document.getElementById("live").textContent))
			.observe(document.getElementById("live"), {childList: true, characterData: true, subtree: true})`)
}

// told says that the page has told this to screen readers.
func told(text string) string {
	return fmt.Sprintf(`window.told.some((text) => text.includes(%q))`, text)
}

// remember keeps a figure for a later step.
func remember(id string) action {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`window.remembered = Number(document.getElementById(%q).textContent)`, id))
}

func press(key string) action {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById("map").focus(),
		document.getElementById("map").dispatchEvent(new KeyboardEvent("keydown", {key: %q, bubbles: true}))`, key))
}

func hold(code, key string) action { return keyboard("keydown", code, key) }

func releaseKey(code, key string) action { return keyboard("keyup", code, key) }

func keyboard(event, code, key string) action {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById("map").dispatchEvent(
		new KeyboardEvent(%q, {key: %q, code: %q, bubbles: true}))`, event, key, code))
}

// describe gives the page's text, for the message of a failure.
func describe(ctx context.Context) string {
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(bounded, chromedp.Evaluate[string](`JSON.stringify(document.body.dataset) + " live: " +
		document.getElementById("live").textContent + " toast: " + document.getElementById("toast").textContent + " | " +
		document.querySelector("aside").innerText.replaceAll("\n", " ")`))
	if err != nil {
		return err.Error()
	}
	return text
}
