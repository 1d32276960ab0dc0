import type { WebSocketConstructor } from "./socket.js";

/** Node's built-in websocket (22 and later), or the one of package ws. */
export async function defaultWebSocket(): Promise<WebSocketConstructor> {
  const found = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (found) return found;
  const { WebSocket } = await import("ws");
  return WebSocket as unknown as WebSocketConstructor;
}
