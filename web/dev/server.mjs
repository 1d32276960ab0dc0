// A scripted gateway to work on the page without the Go server:
//
//	npm --prefix ../clients/js run build && npm run build && npm run serve -- --crowd 2000
//
// One world in memory, one epoch, no log. It serves dist, /dev/info, /dev/token
// and /v1/ws.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { create, fromBinary, toBinary } from "../../clients/js/node_modules/@bufbuild/protobuf/dist/esm/index.js";
import * as api from "../../clients/js/build/src/index.js";
import { WebSocketServer } from "../../clients/js/node_modules/ws/wrapper.mjs";
import { gridDisk, latLngToCell } from "h3-js";

const { values: flags } = parseArgs({
  options: { crowd: { type: "string", default: "2000" }, port: { type: "string", default: "0" }, spread: { type: "string", default: "420" } },
});
const center = { latitude: 25.0375, longitude: 121.5637 };
const resolution = 10;
const metre = 1 / api.metresPerDegree;
const metreEast = metre / Math.cos((center.latitude * Math.PI) / 180);
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".svg": "image/svg+xml" };

let sequence = 1n;
let nextId = 100n;
const entities = new Map(); // id -> {id, kind, x, y, vx, vy, name, holder, cell, version, talk}
const cells = new Map(); // cell -> {sequence, pending: [], ids: Set}
const sessions = new Set();

const cellOf = (x, y) => BigInt("0x" + latLngToCell(center.latitude + y * metre, center.longitude + x * metreEast, resolution));
const hex = (cell) => cell.toString(16);

function cell(id) {
  let c = cells.get(id);
  if (!c) cells.set(id, (c = { id, sequence: 0n, pending: [], ids: new Set(), watchers: 0, told: 0 }));
  return c;
}

const poseOf = (e) => ({
  position: { in: { case: "geo", value: { latitude: center.latitude + e.y * metre, longitude: center.longitude + e.x * metreEast, altitude: 0 } } },
  ...(e.vx || e.vy ? { velocity: { east: e.vx, north: e.vy, up: 0 } } : {}),
});

function update(e, change, by = 0n, number = 0n, to = 0n) {
  const whole = change === api.Change.CREATED || change === api.Change.ENTERED || change === api.Change.PRESENT;
  return {
    is: {
      case: "update",
      value: {
        entity: e.id, version: { handovers: 0, epoch: 1, sequence: e.version }, change, pose: poseOf(e), holder: e.holder ?? 0n,
        kind: whole ? e.kind : "", by, number, to, ...(whole || e.dirty ? { attributes: attributesOf(e) } : {}),
      },
    },
  };
}

function attributesOf(e) {
  const values = {};
  if (e.name) values.name = { is: { case: "text", value: e.name } };
  if (e.spectator) values.spectator = { is: { case: "flag", value: true } };
  return { values };
}

function tell(e, change, by, number) {
  e.version = ++sequence;
  const now = cellOf(e.x, e.y);
  if (e.cell !== now && e.cell !== undefined && change === api.Change.CHANGED) {
    const before = cell(e.cell);
    before.ids.delete(e.id);
    before.pending.push(update(e, api.Change.LEFT, by, number, now));
    change = api.Change.ENTERED;
  }
  e.cell = now;
  const c = cell(now);
  if (change === api.Change.REMOVED) c.ids.delete(e.id);
  else c.ids.add(e.id);
  c.pending.push(update(e, change, by, number));
}

function say(e, what, number = 0n) {
  cell(e.cell).pending.push({ is: { case: "event", value: { actor: e.id, number, version: { handovers: 0, epoch: 1, sequence: ++sequence }, what } } });
}

const names = ["Mei", "Ren", "Ada", "Lin", "Kai", "Yu", "Tao", "Hana", "Bo", "Ivy", "Sol", "Nia", "Odo", "Uma", "Pax", "Zev"];
const lines = ["Over here!", "Lovely evening", "Anyone seen the red ball?", "Follow me", "Hello!", "What a crowd", "Night market?"];
for (let i = 0; i < Number(flags.crowd); i++) {
  const r = Number(flags.spread) * Math.sqrt(Math.random()) * (0.4 + 0.6 * Math.random());
  const a = Math.random() * 2 * Math.PI;
  const e = { id: nextId++, kind: "avatar", x: r * Math.cos(a), y: r * Math.sin(a), vx: 0, vy: 0, name: `${names[i % 16]} ${i}`, turn: Math.random() * 6.3, version: 0n };
  entities.set(e.id, e);
  tell(e, api.Change.CREATED);
}
for (let i = 0; i < 40; i++) {
  const e = { id: nextId++, kind: "thing", x: (Math.random() - 0.5) * 400, y: (Math.random() - 0.5) * 400, vx: 0, vy: 0, name: "ball", version: 0n };
  entities.set(e.id, e);
  tell(e, api.Change.CREATED);
}

let walked = 0;
function walk() {
  const all = [...entities.values()].filter((e) => e.turn !== undefined);
  const part = all.filter((_, i) => i % 10 === walked % 10);
  walked++;
  for (const e of part) {
    e.x += e.vx;
    e.y += e.vy;
    e.turn += (Math.random() - 0.5) * 0.9;
    if (Math.hypot(e.x, e.y) > Number(flags.spread)) e.turn = Math.atan2(-e.y, -e.x);
    const speed = Math.random() < 0.06 ? 0 : 1.4;
    e.vx = Math.cos(e.turn) * speed;
    e.vy = Math.sin(e.turn) * speed;
    tell(e, api.Change.CHANGED);
  }
  if (Math.random() < 0.3) say(part[Math.floor(Math.random() * part.length)], { case: "text", value: lines[Math.floor(Math.random() * lines.length)] });
}
setInterval(walk, 100);
setInterval(flush, 25);

function frameOf(c, steps, extra) {
  const frame = { cell: c.id, place: 0n, epoch: 1, commits: steps.length ? [{ steps, ageUs: 2000 + Math.floor(Math.random() * 3000) }] : [], watchers: c.watchers, ...extra };
  return toBinary(api.ServerMessageSchema, create(api.ServerMessageSchema, { kind: { case: "frame", value: frame } }));
}

function flush() {
  for (const c of cells.values()) {
    c.watchers = [...sessions].filter((s) => s.watched.has(c.id)).length;
    if (!c.pending.length && c.watchers === c.told) continue;
    const from = c.sequence;
    if (c.pending.length) c.sequence = sequence;
    c.told = c.watchers;
    const bytes = frameOf(c, c.pending, { from, sequence: c.sequence });
    c.pending = [];
    for (const s of sessions) if (s.watched.has(c.id)) s.socket.send(bytes);
  }
  for (const s of sessions) {
    for (const o of s.outcomes.splice(0)) s.send({ case: "outcome", value: o });
    s.watch();
  }
}

class Session {
  constructor(socket) {
    this.socket = socket;
    this.watched = new Set();
    this.outcomes = [];
    this.last = 0n;
    socket.on("message", (data) => this.message(fromBinary(api.ClientMessageSchema, new Uint8Array(data)).kind));
    socket.on("close", () => this.end());
    socket.on("error", () => {});
  }
  send(kind) {
    this.socket.send(toBinary(api.ServerMessageSchema, create(api.ServerMessageSchema, { kind })));
  }
  message({ case: kind, value }) {
    if (kind === "hello") this.hello(value);
    else if (kind === "ping") this.send({ case: "pong", value: { clientTimeUs: value.clientTimeUs, serverTimeUs: BigInt(Date.now()) * 1000n } });
    else if (kind === "interest") this.ring = value.ring;
    else if (kind === "act") this.act(value);
  }
  hello(h) {
    const start = h.start?.in.value ?? center;
    const e = { id: nextId++, kind: "avatar", x: (start.longitude - center.longitude) / metreEast, y: (start.latitude - center.latitude) / metre, vx: 0, vy: 0, version: 0n };
    e.name = h.attributes?.values.name?.is.value;
    e.spectator = Boolean(h.attributes?.values.spectator);
    entities.set(e.id, (this.avatar = e));
    this.ring = h.ring;
    this.send({
      case: "welcome",
      value: { session: e.id, avatar: e.id, nextNumber: 1n, pose: poseOf(e), ring: h.ring, deadlineUs: 15000, resumeMs: 15000, gateway: "script", version: "dev", cellResolution: resolution, maxInFlight: 64 },
    });
    tell(e, api.Change.CREATED);
    flush();
    sessions.add(this);
    this.watch();
  }
  watch() {
    const wanted = new Set(gridDisk(hex(this.avatar.cell), this.ring).map((c) => BigInt("0x" + c)));
    for (const id of this.watched) {
      if (wanted.has(id)) continue;
      this.watched.delete(id);
      this.send({ case: "frame", value: { cell: id, epoch: 1, unwatched: true } });
    }
    for (const id of wanted) {
      if (this.watched.has(id)) continue;
      const c = cell(id);
      if (c.pending.length) continue; // joins after the next flush
      this.watched.add(id);
      c.watchers = [...sessions].filter((s) => s.watched.has(id)).length;
      const steps = [...c.ids].map((e) => update(entities.get(e), api.Change.PRESENT));
      this.socket.send(frameOf(c, steps, { sequence: c.sequence, baseline: true }));
    }
  }
  act(a) {
    const me = this.avatar;
    const v = a.function.value;
    const target = v.target && entities.get(v.target.entity);
    let code = api.Code.APPLIED;
    let message = "";
    let entity = 0n;
    const reach = (t) => Math.hypot(t.x - me.x, t.y - me.y) < 6;
    switch (a.function.case) {
      case "move": {
        const p = v.pose.position.in.value;
        me.x = (p.longitude - center.longitude) / metreEast;
        me.y = (p.latitude - center.latitude) / metre;
        me.vx = v.pose.velocity?.east ?? 0;
        me.vy = v.pose.velocity?.north ?? 0;
        tell(me, api.Change.CHANGED, me.id, a.number);
        for (const e of entities.values()) {
          if (e.holder === me.id) Object.assign(e, { x: me.x, y: me.y }), tell(e, api.Change.CHANGED, me.id, a.number);
        }
        break;
      }
      case "speak":
        say(me, v.what, a.number);
        break;
      case "touch":
        if (!target) code = api.Code.NO_SUCH_ENTITY;
        else if (!reach(target)) (code = api.Code.OUT_OF_REACH), (message = "the target is too far away: walk closer");
        else say(me, { case: "touched", value: { entity: target.id } }, a.number);
        break;
      case "grab":
        if (!target) code = api.Code.NO_SUCH_ENTITY;
        else if (target.holder) code = api.Code.HELD;
        else if (!reach(target)) (code = api.Code.OUT_OF_REACH), (message = "the target is too far away: walk closer");
        else (target.holder = me.id), (entity = target.id), tell(target, api.Change.CHANGED, me.id, a.number);
        break;
      case "release": {
        const held = entities.get(v.entity);
        if (held?.holder !== me.id) code = api.Code.NOT_HOLDER;
        else (held.holder = 0n), tell(held, api.Change.CHANGED, me.id, a.number);
        break;
      }
      case "spawn": {
        const p = v.pose.position.in.value;
        const e = { id: nextId++, kind: v.kind, x: (p.longitude - center.longitude) / metreEast, y: (p.latitude - center.latitude) / metre, vx: 0, vy: 0, version: 0n, name: "ball" };
        entities.set(e.id, e);
        entity = e.id;
        tell(e, api.Change.CREATED, me.id, a.number);
        break;
      }
      case "leave":
        this.socket.close(4507, "left");
        break;
    }
    this.last = a.number;
    this.outcomes.push({ number: a.number, code, message, entity });
    setTimeout(flush, 1 + Math.random() * 6);
  }
  end() {
    if (!this.avatar || !sessions.delete(this)) return;
    entities.delete(this.avatar.id);
    tell(this.avatar, api.Change.REMOVED);
  }
}

const http = createServer(async (request, response) => {
  const json = (value) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  const path = new URL(request.url, "http://x").pathname;
  if (path === "/dev/info") return json({ center, cell_resolution: resolution, deadline_us: 15000, crowd: Number(flags.crowd), store: "memory", version: "script" });
  if (path === "/dev/token") {
    let body = "";
    for await (const part of request) body += part;
    const { name } = JSON.parse(body || "{}");
    return json({ token: "scripted", participant: `${name}-${Math.random().toString(36).slice(2, 8)}` });
  }
  const file = normalize(path === "/" ? "/index.html" : path);
  try {
    const text = await readFile(join(dist, file));
    response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" }).end(text);
  } catch {
    response.writeHead(404).end();
  }
});
const sockets = new WebSocketServer({ server: http, path: "/v1/ws", handleProtocols: () => "starling.v1.proto" });
sockets.on("connection", (socket) => new Session(socket));
http.listen(Number(flags.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}`));
