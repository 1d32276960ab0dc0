import { attributes, Client, geo, type ClientState, type Welcome } from "@starling-vr/client";
import { fetchToken, socketUrl, type Info } from "./dev_server";
import { WorkerSocket } from "./worker_socket";

export interface VisitListener {
  /** A client was made: the session's, until the next one. */
  began(client: Client, joined: boolean): void;
  state(state: ClientState, reason: string): void;
  session(welcome: Welcome): void;
}

const ring = 3;
/** A restarted dev server has another key: the page then begins anew. */
const unauthenticated = 4501;
const againMs = 2000;

/**
 * The page's presence in the world: first a spectator's session (an avatar with
 * the attribute "spectator", which this page does not draw), then, after
 * joining, the participant's own.
 */
export class Visit {
  client: Client | undefined;
  joined = false;

  constructor(
    private readonly info: Info,
    private readonly listener: VisitListener,
  ) {}

  watch(at = this.info.center): void {
    const name = `spectator-${crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36)}`;
    this.#begin(false, name, at, { spectator: true });
  }

  join(name: string): void {
    const angle = Math.random() * 2 * Math.PI;
    const metres = 20 + 50 * Math.random();
    const { latitude, longitude } = this.info.center;
    const at = {
      latitude: latitude + (metres * Math.sin(angle)) / 111_195,
      longitude: longitude + (metres * Math.cos(angle)) / (111_195 * Math.cos((latitude * Math.PI) / 180)),
    };
    this.#begin(true, name, at, { name });
  }

  #begin(joined: boolean, name: string, at: { latitude: number; longitude: number }, values: Record<string, string | boolean>): void {
    const before = this.client;
    before?.leave().catch(() => {});
    if (before) setTimeout(() => before.close(), 500);
    let token: Promise<string> | undefined; // one for all connections: another would be another participant
    const client = new Client({
      url: socketUrl(),
      token: () => (token ??= fetchToken(name).catch((error: unknown) => ((token = undefined), Promise.reject(error)))),
      ring,
      start: geo(at.latitude, at.longitude),
      attributes: attributes(values),
      client: "starling-web/0.1.0",
      WebSocket: WorkerSocket,
    });
    this.client = client;
    this.joined = joined;
    client.on("state", ({ state, reason }) => {
      if (client === this.client) this.listener.state(state, reason ?? "");
    });
    client.on("session", (welcome) => {
      if (client === this.client) this.listener.session(welcome);
    });
    client.on("closed", ({ code }) => {
      if (client !== this.client || code !== unauthenticated) return;
      setTimeout(() => client === this.client && this.#begin(joined, name, at, values), againMs);
    });
    this.listener.began(client, joined);
    client.connect().catch(() => {});
  }
}
