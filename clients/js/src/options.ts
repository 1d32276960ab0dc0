import type { BackoffOptions } from "./backoff.js";
import type { Scheduler } from "./clock.js";
import type { Attributes, Budget, Position } from "./gen/api/starling/v1/client_pb.js";
import type { WebSocketConstructor } from "./socket.js";

/** A token, or where to get one: asked before each connection. */
export type TokenSource = string | (() => string | Promise<string>);

export interface ClientOptions {
  /** The gateway's websocket, e.g. "ws://127.0.0.1:8080/v1/ws". */
  url: string;
  /** JWT whose "sub" is the participant. */
  token: TokenSource;
  /** Cells around one's own that are watched, 0..3. Default 1. */
  ring?: number;
  /** Where a new session's avatar appears. */
  start?: Position;
  /** The place to join; 0n, the default, is the map. */
  place?: bigint;
  /** The avatar's attributes, e.g. attributes({ name: "Ada" }). */
  attributes?: Attributes;
  /** At most so much of crowds: updates and bytes per second; default: what the gateway grants. */
  budget?: Budget;
  /** Name and version of the application, for operators. */
  client?: string;
  /** "proto" (default) or "json". */
  encoding?: "proto" | "json";
  /** Waits between attempts to connect. */
  reconnect?: BackoffOptions;
  /** Time between pings in milliseconds, default 5000; the first few come faster. */
  pingMs?: number;
  /** A connection that brought nothing for so long is given up, in milliseconds. Default 15,000. */
  silenceMs?: number;
  /** An attempt that got no Welcome within so long is given up, in milliseconds. Default 10,000. */
  welcomeMs?: number;
  /** Actions waiting to be sent at most. Default 1024. */
  maxQueued?: number;
  /** The websocket to use. Default: globalThis.WebSocket, in Node else package ws. */
  WebSocket?: WebSocketConstructor;
  /** Time, timers and randomness; tests bring their own. */
  scheduler?: Scheduler;
}
