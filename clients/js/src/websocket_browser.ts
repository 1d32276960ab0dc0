import type { WebSocketConstructor } from "./socket.js";

/** The websocket of browsers and of runtimes that have it built in. */
export async function defaultWebSocket(): Promise<WebSocketConstructor> {
  const found = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (!found) throw new Error("no WebSocket here: hand one in as ClientOptions.WebSocket");
  return found;
}
