import { Backoff } from "./backoff.js";
import { readClose } from "./codes.js";
import { ServerClock, systemScheduler, type Scheduler } from "./clock.js";
import { clientMessage, jsonCodec, protoCodec, type Codec } from "./codec.js";
import { Emitter } from "./emitter.js";
import type {
  CellFrame,
  ClientMessage,
  Notice,
  Outcome,
  Pose,
  Position,
  ServerMessage,
  Welcome,
} from "./gen/api/starling/v1/client_pb.js";
import type { ClientOptions } from "./options.js";
import { ClosedError, Pipeline, type ActionFunction } from "./pipeline.js";
import type { Socket, SocketClose, SocketMessage, WebSocketConstructor } from "./socket.js";
import { toValue, toAttributes, type AttributeValue } from "./values.js";
import { defaultWebSocket } from "#websocket";
import { World, type Entity, type SeenEvent } from "./world.js";
import { create } from "@bufbuild/protobuf";
import { ActSchema, HelloSchema, InterestSchema, Notice_Kind, PingSchema } from "./gen/api/starling/v1/client_pb.js";

/** idle: before connect(). waiting: for the next attempt. closed: for good. */
export type ClientState = "idle" | "connecting" | "online" | "waiting" | "closed";

export interface ClientEvents {
  state: { state: ClientState; retryInMs?: number; code?: number; reason?: string };
  /** A session opened or was resumed. */
  session: Welcome;
  /** A connection that had been welcomed ended; the client tries again. */
  disconnected: { code: number; reason: string };
  /** The client ended for good: 1000 when the application closed it. */
  closed: { code: number; reason: string };
  /** An action of this client ended. latencyMs: from its first sending. */
  outcome: { outcome: Outcome; latencyMs: number; function: ActionFunction["case"] };
  /** The first update or event caused by an action of this client came back. latencyMs: from its first sending. */
  seen: { number: bigint; latencyMs: number };
  notice: Notice;
  /** A frame was taken in. steps: updates and events in it. */
  frame: { cell: bigint; steps: number; receivedAt: number; baseline: boolean };
  /** Each pong: see clock. */
  pong: { roundTripMs: number };
}

/** An entity that an action is about: the cell tells which shard to ask. */
export type Target = Pick<Entity, "id" | "cell">;

/**
 * A participant's client. It keeps one session over as many connections as it
 * takes, until close(), leave() or a close code that says not to come back.
 */
export class Client extends Emitter<ClientEvents> {
  /** What is in sight. */
  readonly world = new World();
  /** The gateway's clock against this one. */
  readonly clock = new ServerClock();

  readonly #options: ClientOptions;
  readonly #scheduler: Scheduler;
  readonly #codec: Codec;
  readonly #pipeline: Pipeline;
  readonly #backoff: Backoff;
  readonly #sentAt = new Map<bigint, number>();
  #state: ClientState = "idle";
  #socket: Socket | undefined;
  #attempt = 0; // guards against callbacks of an earlier connection
  #welcome: Welcome | undefined;
  #session = 0n;
  #ring: number;
  #lastHeard = 0;
  #pings = 0;
  #websocket: WebSocketConstructor | undefined;
  #retryTimer: unknown;
  #pingTimer: unknown;
  #welcomeTimer: unknown;
  #resendTimer: unknown;
  #drainTimer: unknown;

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#codec = options.encoding === "json" ? jsonCodec : protoCodec;
    this.#pipeline = new Pipeline({
      random: this.#scheduler.random,
      ...(options.maxQueued === undefined ? {} : { maxQueued: options.maxQueued }),
    });
    this.#pipeline.disconnected();
    this.#backoff = new Backoff(options.reconnect, this.#scheduler.random);
    this.#ring = options.ring ?? 1;
    this.world.on("event", (seen) => this.#ownEvent(seen));
    this.world.on("update", ({ entity }) => this.#own(entity.by, entity.number, entity.receivedAt));
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The last Welcome: session, avatar, deadline and so on. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** The participant's own entity; 0n before the first Welcome. */
  get avatar(): bigint {
    return this.#welcome?.avatar ?? 0n;
  }

  /** Actions without a final outcome. */
  get pending(): number {
    return this.#pipeline.pending;
  }

  /** Begins to connect. Resolves with the first Welcome; rejects when the client ends before. */
  connect(): Promise<Welcome> {
    if (this.#state !== "idle") return Promise.reject(new Error("connect() was called before"));
    return new Promise((resolve, reject) => {
      const offs = [
        this.on("session", (welcome) => {
          offs.forEach((off) => off());
          resolve(welcome);
        }),
        this.on("closed", ({ code, reason }) => {
          offs.forEach((off) => off());
          reject(new ClosedError(reason || `closed with code ${code}`, code));
        }),
      ];
      void this.#connect();
    });
  }

  /** Does an action. Resolves with its final outcome, applied or refused; rejects when it has none. */
  act(what: ActionFunction): Promise<Outcome> {
    if (this.#state === "closed") return Promise.reject(new ClosedError("the client is closed"));
    const outcome = this.#pipeline.submit(what);
    this.#pump();
    return outcome;
  }

  /** Moves the avatar, or with entity another one (scope "move:any"). relocate: after a jump of a positioning system. */
  move(pose: Pose, options: { relocate?: boolean; entity?: bigint } = {}): Promise<Outcome> {
    const { relocate = false, entity = 0n } = options;
    return this.#do("move", { pose, relocate, entity });
  }

  /** Says a text (at most 500 bytes) or a voice packet (1200 bytes) to everyone who watches the cell. */
  speak(what: string | Uint8Array): Promise<Outcome> {
    return this.#do("speak", {
      what: typeof what === "string" ? { case: "text", value: what } : { case: "voice", value: what as Uint8Array<ArrayBuffer> },
    });
  }

  touch(target: Target): Promise<Outcome> {
    return this.#do("touch", { target: wire(target) });
  }

  grab(target: Target): Promise<Outcome> {
    return this.#do("grab", { target: wire(target) });
  }

  /** Drops a held entity, at a position within reach or where it is. */
  release(entity: bigint, position?: Position): Promise<Outcome> {
    return this.#do("release", position ? { entity, position } : { entity });
  }

  spawn(kind: string, pose: Pose, attributes: Record<string, AttributeValue> = {}): Promise<Outcome> {
    return this.#do("spawn", { kind, pose, attributes: toAttributes(attributes) });
  }

  despawn(target: Target): Promise<Outcome> {
    return this.#do("despawn", { target: wire(target) });
  }

  /** Sets an attribute of the avatar or of a spawned entity; undefined clears it. */
  setAttribute(name: string, value: AttributeValue | undefined, target?: Target): Promise<Outcome> {
    return this.#do("setAttribute", {
      name,
      ...(value === undefined ? {} : { value: toValue(value) }),
      ...(target ? { target: wire(target) } : {}),
    });
  }

  /** Runs a game's own function. */
  call(name: string, args: Uint8Array = new Uint8Array(), target?: Target): Promise<Outcome> {
    return this.#do("call", { function: name, arguments: args, ...(target ? { target: wire(target) } : {}) });
  }

  /** Ends the session: drops what is held and removes the avatar; then the client is closed. */
  leave(): Promise<Outcome> {
    return this.#do("leave", {});
  }

  /** Changes how many rings of cells around one's own are watched, 0..3. */
  setRing(ring: number): void {
    this.#ring = ring;
    if (this.#state === "online") this.#send(clientMessage({ case: "interest", value: create(InterestSchema, { ring }) }));
  }

  /** Closes the connection and does not come back. The session outlives it by the resume time; see leave(). */
  close(): void {
    this.#finish(1000, "closed by the application");
  }

  #do(name: NonNullable<ActionFunction["case"]>, value: object): Promise<Outcome> {
    const act = create(ActSchema, { function: { case: name, value } as never });
    return this.act(act.function as ActionFunction);
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt;
    this.#setState({ state: "connecting" });
    try {
      const { token } = this.#options;
      const bearer = typeof token === "string" ? token : await token();
      this.#websocket ??= this.#options.WebSocket ?? (await defaultWebSocket());
      if (attempt !== this.#attempt) return;
      this.#open(this.#websocket, attempt, bearer);
    } catch (error) {
      if (attempt === this.#attempt) this.#retry(undefined, 0, String(error));
    }
  }

  #open(WebSocket: WebSocketConstructor, attempt: number, token: string): void {
    const socket = new WebSocket(this.#options.url, [this.#codec.subprotocol]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const current = () => attempt === this.#attempt;
    socket.onopen = () => current() && this.#hello(token);
    socket.onmessage = (event: SocketMessage) => current() && this.#message(event);
    socket.onclose = (event: SocketClose) => current() && this.#closed(event.code || 1006, event.reason);
    socket.onerror = () => {}; // a close follows
    this.#welcomeTimer = this.#scheduler.setTimeout(() => this.#abandon("no welcome in time"), this.#options.welcomeMs ?? 10_000);
  }

  #hello(token: string): void {
    const { start, place, attributes, client, budget } = this.#options;
    const last = this.#session === 0n ? undefined : this.#ownPosition();
    this.#send(
      clientMessage({
        case: "hello",
        value: create(HelloSchema, {
          token,
          client: client ?? "starling-js/0.1.0",
          ring: this.#ring,
          resume: this.#session,
          lastNumber: this.#session === 0n ? 0n : this.#pipeline.lastFinal,
          place: place ?? 0n,
          ...((last ?? start) ? { start: last ?? start } : {}),
          ...(attributes ? { attributes } : {}),
          ...(budget ? { budget } : {}),
        }),
      }),
    );
  }

  /** Where the avatar was seen last, for a session that has to begin anew. */
  #ownPosition(): Position | undefined {
    return this.world.entities.get(this.avatar)?.pose?.position ?? this.#welcome?.pose?.position;
  }

  #message(event: SocketMessage): void {
    const receivedAt = event.receivedAt ?? this.#scheduler.now();
    this.#lastHeard = this.#scheduler.now();
    let message: ServerMessage;
    try {
      message = this.#codec.decode(event.data);
    } catch {
      this.#abandon("not a message of the protocol");
      return;
    }
    switch (message.kind.case) {
      case "welcome":
        return this.#welcomed(message.kind.value);
      case "outcome":
        return this.#outcome(message.kind.value, receivedAt);
      case "frame":
        return this.#frame(message.kind.value, receivedAt);
      case "pong":
        return this.#pong(Number(message.kind.value.clientTimeUs), message.kind.value.serverTimeUs, receivedAt);
      case "notice":
        return this.#notice(message.kind.value);
    }
  }

  /** A gateway that drains is left at a random time within the one it gives, so that its clients do not go all at once. */
  #notice(notice: Notice): void {
    this.emit("notice", notice);
    if (notice.kind !== Notice_Kind.DRAINING) return;
    const within = (notice.reconnectMs || 5000) * this.#scheduler.random();
    this.#scheduler.clearTimeout(this.#drainTimer);
    this.#drainTimer = this.#scheduler.setTimeout(() => this.#abandon("the gateway is going away", 0), within);
  }

  #welcomed(welcome: Welcome): void {
    this.#scheduler.clearTimeout(this.#welcomeTimer);
    const resumed = welcome.resumed && welcome.session === this.#session;
    this.#welcome = welcome;
    this.#session = welcome.session;
    this.#backoff.reset();
    this.clock.reset();
    this.world.clear(this.#scheduler.now());
    if (!resumed) this.#sentAt.clear();
    this.#pipeline.welcomed(resumed, welcome.nextNumber, welcome.maxInFlight);
    this.#setState({ state: "online" });
    this.emit("session", welcome);
    this.#pings = 0;
    this.#ping();
    this.#pump();
  }

  #outcome(outcome: Outcome, receivedAt: number): void {
    const settled = this.#pipeline.outcome(outcome, this.#scheduler.now());
    if (settled) {
      this.emit("outcome", { outcome, latencyMs: receivedAt - settled.sentAt, function: settled.what.case });
    }
    this.#pump();
  }

  #frame(frame: CellFrame, receivedAt: number): void {
    if (!this.world.apply(frame, receivedAt)) {
      this.#abandon("a frame was lost");
      return;
    }
    const steps = frame.commits.reduce((n, commit) => n + commit.steps.length, 0);
    this.emit("frame", { cell: frame.cell, steps, receivedAt, baseline: frame.baseline });
  }

  #ownEvent(seen: SeenEvent): void {
    this.#own(seen.event.actor, seen.event.number, seen.receivedAt);
  }

  #own(by: bigint, number: bigint, receivedAt: number): void {
    if (number === 0n || by !== this.avatar) return;
    const sentAt = this.#sentAt.get(number);
    if (sentAt === undefined) return;
    this.#sentAt.delete(number);
    this.emit("seen", { number, latencyMs: receivedAt - sentAt });
  }

  #pong(clientUs: number, serverUs: bigint, receivedAt: number): void {
    this.clock.sample(clientUs / 1000, receivedAt, serverUs);
    this.emit("pong", { roundTripMs: receivedAt - clientUs / 1000 });
  }

  #ping(): void {
    this.#scheduler.clearTimeout(this.#pingTimer);
    const now = this.#scheduler.now();
    if (this.#pings > 0 && now - this.#lastHeard > (this.#options.silenceMs ?? 15_000)) {
      this.#abandon("nothing heard for too long");
      return;
    }
    this.#send(clientMessage({ case: "ping", value: create(PingSchema, { clientTimeUs: BigInt(Math.round(now * 1000)) }) }));
    const usual = this.#options.pingMs ?? 5000;
    this.#pingTimer = this.#scheduler.setTimeout(() => this.#ping(), ++this.#pings < 5 ? Math.min(200, usual) : usual);
  }

  /** Sends what is due, and sets the timer for what waits. */
  #pump(): void {
    if (this.#state !== "online") return;
    const now = this.#scheduler.now();
    for (const act of this.#pipeline.due(now)) {
      if (!this.#sentAt.has(act.number)) this.#sentAt.set(act.number, now);
      this.#send(clientMessage({ case: "act", value: act }));
    }
    this.#forgetSent();
    this.#scheduler.clearTimeout(this.#resendTimer);
    const due = this.#pipeline.nextDue(now);
    if (due !== undefined) this.#resendTimer = this.#scheduler.setTimeout(() => this.#pump(), Math.ceil(due - now));
  }

  /** Of actions that nobody sees an update of, e.g. refused ones, few are kept. */
  #forgetSent(): void {
    for (const number of this.#sentAt.keys()) {
      if (this.#sentAt.size <= 256) return;
      this.#sentAt.delete(number);
    }
  }

  #send(message: ClientMessage): void {
    const socket = this.#socket;
    if (socket?.readyState === 1) socket.send(this.#codec.encode(message));
  }

  #closed(code: number, reason: string): void {
    const verdict = readClose(code, reason);
    if (verdict.freshSession) {
      this.#session = 0n;
      this.#pipeline.sessionLost();
    }
    if (verdict.reconnect) this.#retry(verdict.afterMs, code, reason);
    else this.#finish(code, reason);
  }

  /** Gives the connection up and tries again. */
  #abandon(reason: string, afterMs?: number): void {
    const socket = this.#socket;
    this.#retry(afterMs, 1006, reason);
    socket?.close(4000, reason);
  }

  #retry(afterMs: number | undefined, code: number, reason: string): void {
    const was = this.#state;
    this.#disconnect();
    const wait = this.#backoff.next(afterMs);
    this.#setState({ state: "waiting", retryInMs: wait, code, reason });
    if (was === "online") this.emit("disconnected", { code, reason });
    if (this.state === "waiting") this.#retryTimer = this.#scheduler.setTimeout(() => void this.#connect(), wait);
  }

  #finish(code: number, reason: string): void {
    if (this.#state === "closed") return;
    const socket = this.#socket;
    this.#disconnect();
    this.#setState({ state: "closed", code, reason });
    socket?.close(1000);
    this.#pipeline.fail(new ClosedError(reason || `closed with code ${code}`, code));
    this.emit("closed", { code, reason });
  }

  #disconnect(): void {
    this.#attempt++;
    this.#socket = undefined;
    this.#pipeline.disconnected();
    for (const timer of [this.#retryTimer, this.#pingTimer, this.#welcomeTimer, this.#resendTimer, this.#drainTimer]) {
      this.#scheduler.clearTimeout(timer);
    }
  }

  #setState(event: ClientEvents["state"]): void {
    this.#state = event.state;
    this.emit("state", event);
  }
}

function wire(target: Target): { entity: bigint; cell: bigint } {
  return { entity: target.id, cell: target.cell };
}
