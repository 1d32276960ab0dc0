import type { ClientState } from "@starling-vr/client";
import type { Latency } from "../latency";
import { element, setText } from "./elements";
import { drawSparkline } from "./sparkline";

const stateNames: Record<ClientState, string> = {
  idle: "Starting",
  connecting: "Connecting",
  online: "Connected",
  waiting: "Reconnecting",
  closed: "Disconnected",
};

/** The figures around the map. */
export class Hud {
  #updates = 0;
  #frames = 0;
  #since = performance.now();

  connection(state: ClientState, reason: string): void {
    document.body.dataset["connection"] = state;
    const pill = element("connection");
    pill.querySelector("span")!.textContent = stateNames[state];
    pill.title = reason;
  }

  /** Updates and events that a frame brought. */
  updates(count: number): void {
    this.#updates += count;
  }

  frame(): void {
    this.#frames++;
  }

  watchers(count: number | undefined): void {
    element("watchers").querySelector("b")!.textContent = count === undefined ? "–" : String(count);
  }

  /** Renews the rates; call it about once a second. */
  rates(now: number): void {
    const seconds = (now - this.#since) / 1000;
    if (seconds <= 0) return;
    setText("rate", Math.round(this.#updates / seconds).toLocaleString("en"));
    setText("fps", String(Math.round(this.#frames / seconds)));
    this.#updates = this.#frames = 0;
    this.#since = now;
  }

  latency(latency: Latency): void {
    setText("samples", latency.count.toLocaleString("en"));
    setText("p50", milliseconds(latency.quantile(0.5)));
    setText("p99", milliseconds(latency.quantile(0.99)));
    setText("misses", latency.misses.toLocaleString("en"));
    const share = latency.count ? ` · ${((100 * latency.misses) / latency.count).toFixed(1)} %` : ` ${latency.deadlineMs} ms`;
    setText("miss-share", `missed${share}`);
    element("latency").classList.toggle("missing", latency.misses > 0);
    drawSparkline(element<HTMLCanvasElement>("sparkline"), latency.last(120), latency.deadlineMs);
  }
}

function milliseconds(ms: number | undefined): string {
  if (ms === undefined) return "–";
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}
