import type { Socket } from "@starling-vr/client";

/** What goes to the thread of the socket. */
export type ToSocket = { open: { url: string; protocols: string[] } } | { send: string | Uint8Array<ArrayBuffer> } | { close: { code?: number; reason?: string } };

/** What comes from it, with the time when it happened there. */
export type FromSocket =
  | { kind: "open" }
  | { kind: "message"; data: string | ArrayBuffer; receivedAt: number }
  | { kind: "close"; code: number; reason: string };

/**
 * A websocket on a thread of its own: messages get the time of their arrival
 * there, so that drawing a frame here does not count as latency.
 */
export class WorkerSocket implements Socket {
  binaryType = "arraybuffer";
  readyState = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly #worker = new Worker(new URL("./socket_thread.ts", import.meta.url), { type: "module" });

  constructor(url: string, protocols: string[]) {
    this.#worker.onmessage = (event: MessageEvent<FromSocket>) => this.#take(event.data);
    this.#worker.onerror = () => this.#take({ kind: "close", code: 1006, reason: "the socket's thread failed" });
    this.#post({ open: { url, protocols } });
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#post({ send: data });
  }

  close(code?: number, reason?: string): void {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.#post({ close: { ...(code === undefined ? {} : { code }), ...(reason === undefined ? {} : { reason }) } });
  }

  #post(message: ToSocket): void {
    this.#worker.postMessage(message);
  }

  #take(message: FromSocket): void {
    if (message.kind === "message") this.onmessage?.(message as never);
    else if (message.kind === "open") {
      this.readyState = 1;
      this.onopen?.(message as never);
    } else if (this.readyState !== 3) {
      this.readyState = 3;
      this.#worker.terminate();
      this.onclose?.(message as never);
    }
  }
}
