import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fromJson, toJson, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import {
  ActSchema,
  AttributesSchema,
  Client,
  ClosedError,
  EventSchema,
  NoticeSchema,
  OutcomeSchema,
  PoseSchema,
  PositionSchema,
  ServerClock,
  SessionLostError,
  Track,
  type ActionFunction,
  type ClientOptions,
  type Entity,
} from "../src/index.js";

// The runner of clients/conformance: its README says what each command and
// report means. STARLING_CONFORMANCE names a server that runs already.

type Json = Record<string, JsonValue>;

const repository = fileURLToPath(new URL("../../../../", import.meta.url));
let server = process.env["STARLING_CONFORMANCE"] ?? "";
let stop = () => {};

before(async () => {
  if (server) return;
  const child = spawn("go", ["run", "./clients/conformance/server"], { cwd: repository, stdio: ["pipe", "pipe", "inherit"] });
  stop = () => child.stdin.end();
  for await (const line of createInterface({ input: child.stdout })) {
    server = line.trim();
    break;
  }
});

after(() => stop());

async function ask(path: string, body?: JsonValue): Promise<Json> {
  const reply = await fetch(server + path, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
  const text = await reply.text();
  assert.ok(reply.ok, `${path}: ${reply.status} ${text}`);
  return (text ? JSON.parse(text) : {}) as Json;
}

const read = <D extends DescMessage>(schema: D, json: JsonValue): MessageShape<D> => fromJson(schema, json);

function clockReply(clock: ServerClock): Json {
  const known = clock.offsetMs !== undefined;
  return { known, offset_us: (clock.offsetMs ?? 0) * 1000, round_trip_us: Math.round((clock.roundTripMs ?? 0) * 1e6) / 1000 };
}

function sorted<T>(values: Iterable<T>, id: (value: T) => bigint): T[] {
  return [...values].sort((a, b) => (id(a) < id(b) ? -1 : 1));
}

function entityView(e: Entity): Json {
  const values: Json = {};
  for (const [name, value] of e.attributes) {
    if (typeof value === "boolean") values[name] = { flag: value };
    else if (typeof value === "bigint") values[name] = { integer: value.toString() };
    else if (typeof value === "number") values[name] = { number: value };
    else if (typeof value === "string") values[name] = { text: value };
    else values[name] = { opaque: Buffer.from(value).toString("base64") };
  }
  return {
    entity: e.id.toString(),
    cell: e.cell.toString(),
    version: { handovers: e.version.handovers, epoch: e.version.epoch, sequence: e.version.sequence.toString() },
    kind: e.kind,
    pose: e.pose ? toJson(PoseSchema, e.pose) : null,
    holder: e.holder === 0n ? "" : e.holder.toString(),
    attributes: e.attributes.size ? { values } : {},
    frozen: e.frozen,
  };
}

class Run {
  #client: Client | undefined;
  #reports: Json[] = [];
  #sending: Promise<void> = Promise.resolve();

  constructor(private readonly id: string, private readonly url: string) {}

  async play(): Promise<Json> {
    let reply: JsonValue = null;
    for (;;) {
      const next = await ask(`/runs/${this.id}/next`, reply === null ? {} : { reply });
      reply = null;
      if (next["end"]) {
        this.#client?.close();
        await this.#sending;
        return next["end"] as Json;
      }
      if (next["command"]) reply = this.#do(next["command"] as Json);
    }
  }

  #report(report: Json): void {
    this.#reports.push(report);
    this.#sending = this.#sending.then(async () => {
      const reports = this.#reports.splice(0);
      if (reports.length) await ask(`/runs/${this.id}/reports`, reports).catch(() => {});
    });
  }

  #do(command: Json): JsonValue {
    switch (command["op"]) {
      case "connect":
        this.#connect(command);
        return {};
      case "act":
        this.#act(command["tag"] as string, read(ActSchema, command["act"]!).function as ActionFunction);
        return {};
      case "interest":
        this.#client!.setRing(command["ring"] as number);
        return {};
      case "view":
        return this.#view();
      case "clock":
        return clockReply(this.#client!.clock);
      case "close":
        this.#client!.close();
        return {};
      case "offset": {
        const clock = new ServerClock();
        for (const s of command["samples"] as { sent_us: number; received_us: number; server_us: number }[]) {
          clock.sample(s.sent_us / 1000, s.received_us / 1000, BigInt(s.server_us));
        }
        return clockReply(clock);
      }
      case "interpolate": {
        const track = new Track();
        for (const s of command["samples"] as { at_ms: number; pose: JsonValue }[]) track.add(s.at_ms, read(PoseSchema, s.pose));
        return { pose: toJson(PoseSchema, track.at(command["at_ms"] as number)!) };
      }
    }
    throw new Error(`unknown command ${JSON.stringify(command)}`);
  }

  #connect(command: Json): void {
    const tokens = (command["tokens"] as string[] | undefined) ?? [];
    const pauses = command["reconnect"] as { first_ms: number; most_ms: number } | undefined;
    const options: ClientOptions = {
      url: this.url,
      token: tokens.length ? () => (tokens.length > 1 ? tokens.shift()! : tokens[0]!) : (command["token"] as string),
      ring: (command["ring"] as number | undefined) ?? 1,
      encoding: command["json"] ? "json" : "proto",
    };
    if (pauses) options.reconnect = { firstMs: pauses.first_ms, longestMs: pauses.most_ms };
    if (command["place"]) options.place = BigInt(command["place"] as string);
    if (command["start"]) options.start = read(PositionSchema, command["start"]);
    if (command["attributes"]) options.attributes = read(AttributesSchema, command["attributes"]);
    this.#client = new Client(options);
    this.#listen(this.#client);
    this.#client.connect().catch(() => {});
  }

  #listen(client: Client): void {
    client.on("session", (w) =>
      this.#report({
        kind: "session",
        session: w.session.toString(),
        avatar: w.avatar.toString(),
        resumed: w.resumed,
        place: w.place.toString(),
        ring: w.ring,
        gateway: w.gateway,
      }),
    );
    client.on("disconnected", ({ code }) => this.#report({ kind: "disconnected", code }));
    client.on("closed", ({ code }) => this.#report({ kind: "closed", code }));
    client.on("notice", (notice) => this.#report({ kind: "notice", notice: toJson(NoticeSchema, notice) }));
    client.world.on("event", ({ cell, event }) => this.#report({ kind: "event", cell: cell.toString(), event: toJson(EventSchema, event) }));
    client.world.on("missed", ({ cell, count }) => this.#report({ kind: "missed", cell: cell.toString(), count }));
  }

  #act(tag: string, what: ActionFunction): void {
    this.#client!.act(what).then(
      (outcome) => this.#report({ kind: "outcome", tag, outcome: toJson(OutcomeSchema, outcome) }),
      (error) => {
        assert.ok(error instanceof SessionLostError || error instanceof ClosedError);
        this.#report({ kind: "failed", tag, error: "unknown_fate" });
      },
    );
  }

  #view(): JsonValue {
    const { entities, cells } = this.#client!.world;
    return {
      entities: sorted(entities.values(), (e) => e.id).map(entityView),
      cells: sorted(cells.values(), (c) => c.id).map((c) => ({
        cell: c.id.toString(),
        place: c.place.toString(),
        epoch: c.epoch,
        sequence: c.sequence.toString(),
        watchers: c.watchers,
        thinned: c.thinned,
      })),
    };
  }
}

test("conformance", { timeout: 600_000 }, async (t) => {
  const scenarios = (await ask("/scenarios")) as unknown as { name: string; about: string }[];
  assert.ok(scenarios.length > 0);
  await Promise.all(
    scenarios.map((s) =>
      t.test(s.name, async () => {
        const { run, url } = (await ask("/runs", { scenario: s.name })) as { run: string; url: string };
        const end = await new Run(run, url).play();
        assert.deepEqual(end["failures"] ?? [], []);
        assert.equal(end["passed"], true, s.about);
      }),
    ),
  );
  assert.equal((await ask("/result"))["passed"], true);
});
