import { isApplied, type Client, type ClientState, type SeenEvent, type Welcome } from "@starling-vr/client";
import { Latency } from "./latency";
import { Bubbles } from "./map/bubbles";
import { Camera } from "./map/camera";
import { CellLayer } from "./map/cells";
import { Flock, isThing, type Shown } from "./map/flock";
import { palette } from "./map/palette";
import { Projection, type Point } from "./map/projection";
import { Ripples } from "./map/ripples";
import { drawShapes } from "./map/shapes";
import { Stage } from "./map/stage";
import type { Info } from "./net/dev_server";
import { Visit, type VisitListener } from "./net/visit";
import { Participant } from "./participant";
import { Announcer } from "./ui/announcer";
import { element, setText } from "./ui/elements";
import { FunctionsPanel } from "./ui/functions";
import { Hud } from "./ui/hud";
import { Keyboard } from "./ui/keyboard";
import { Nearby, nameOf, type Neighbour } from "./ui/nearby";
import { listenToPointer } from "./ui/pointer";
import { Theme } from "./ui/theme";
import { spectatorSpeed, Walk } from "./walk";

const panPixelsPerSecond = 420;
const touchPixels = 16;
/** Metres that fit on the screen at first: three rings of cells, and a participant's surroundings. */
const watchingMetres = 900;
const joinedMetres = 240;
/** The map may be moved so far before a spectator goes after it. */
const spectatorLagMetres = 80;
/** Farther away it asks to be set down there, as often as the server grants it. */
const relocateMetres = 350;
const relocateEveryMs = 61_000;

/** Everything on the page, put together. */
export class Page implements VisitListener {
  readonly #projection: Projection;
  readonly #camera = new Camera();
  readonly #cells: CellLayer;
  readonly #flock: Flock;
  readonly #ripples = new Ripples();
  readonly #bubbles = new Bubbles(element("overlay"));
  readonly #latency = new Latency();
  readonly #hud = new Hud();
  readonly #functions = new FunctionsPanel();
  readonly #announcer = new Announcer();
  readonly #theme: Theme;
  readonly #visit: Visit;
  readonly #nearby: Nearby;
  readonly #keyboard: Keyboard;
  #unfollow = () => {};
  #walk: Walk | undefined;
  /** The unseen steps of a spectator, after the middle of the map. */
  #spectator: Walk | undefined;
  #participant: Participant | undefined;
  #middle: Point = { x: 0, y: 0 };
  #relocated = 0;
  #following = true;
  #pointed = "";
  #lastFrame = performance.now();
  #lastPanels = 0;
  #lastRates = 0;

  constructor(
    private readonly stage: Stage,
    private readonly info: Info,
  ) {
    const { latitude, longitude } = info.center;
    this.#projection = new Projection(latitude, longitude);
    this.#cells = new CellLayer(this.#projection, info.cell_resolution);
    this.#flock = new Flock(drawShapes(), this.#projection);
    stage.compose(this.#cells, this.#flock, this.#ripples);
    this.#theme = new Theme(() => this.#latency && this.#hud.latency(this.#latency));
    this.#nearby = new Nearby((id) => this.#chosen(id));
    this.#keyboard = new Keyboard(this.#commands());
    this.#visit = new Visit(info, this);
    this.#latency.deadlineMs = info.deadline_us / 1000;
    this.#functions.triggerSource = info.trigger ?? "";
  }

  open(): void {
    this.#resize();
    this.#camera.fit(watchingMetres);
    addEventListener("resize", () => this.#resize());
    listenToPointer(element<HTMLCanvasElement>("map"), this.#camera, {
      clicked: (screen) => this.#clicked(screen),
      hovered: (screen) => this.#hovered(screen),
      dragged: () => this.#follow(false),
    });
    this.#listenToForms();
    this.#visit.watch();
    const frame = () => {
      this.#frame();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  // The visit

  began(client: Client, joined: boolean): void {
    this.#unfollow();
    this.#unfollow = this.#flock.follow(client.world);
    this.#walk = this.#spectator = undefined;
    this.#participant = undefined;
    this.#latency.reset();
    document.body.dataset["visit"] = joined ? "joined" : "watching";
    element("join").hidden = joined;
    element("speak").hidden = !joined;
    client.world.on("event", (seen) => this.#event(seen, client));
    client.on("frame", ({ steps }) => this.#hud.updates(steps));
    client.on("seen", ({ latencyMs }) => joined && this.#latency.add(latencyMs));
    client.on("outcome", ({ outcome, latencyMs }) => {
      if (joined && !isApplied(outcome.code)) this.#latency.add(latencyMs);
    });
  }

  state(state: ClientState, reason: string): void {
    const before = document.body.dataset["connection"];
    this.#hud.connection(state, reason);
    if (state === "closed") this.#toast(`Disconnected: ${reason || "the session ended"}`);
    else if (state === "waiting" && before === "online") this.#toast("Connection lost, reconnecting");
  }

  session(welcome: Welcome): void {
    this.#latency.deadlineMs = welcome.deadlineUs / 1000 || this.#latency.deadlineMs;
    const client = this.#visit.client;
    const at = welcome.pose?.position?.in;
    if (!client || at?.case !== "geo") return;
    const point = this.#projection.point(at.value.latitude, at.value.longitude);
    if (!this.#visit.joined) {
      this.#spectator = new Walk(client, this.#projection, point, () => this.#spectator?.moveTo(point), spectatorSpeed);
      return;
    }
    if (welcome.resumed && this.#walk) {
      this.#walk.moveTo(point);
      return;
    }
    this.#walk = new Walk(client, this.#projection, point, (message) => this.#moveRefused(message));
    this.#participant = new Participant(client, this.#flock, this.#projection, () => this.#walk?.at ?? this.#camera, (text) => this.#toast(text));
    this.#follow(true);
    this.#camera.zoomBy(Math.min(this.#camera.width, this.#camera.height) / joinedMetres / this.#camera.zoom);
    element("map").focus();
    this.#announcer.say("You joined. Walk with the arrow keys or W A S D; Enter to speak; question mark for all keys.", this.#now);
  }

  #moveRefused(message: string): void {
    const own = this.#flock.own?.motion;
    if (own) this.#walk?.moveTo(this.#projection.point(own.y, own.x));
    if (message) this.#toast(message);
  }

  #event({ event }: SeenEvent, client: Client): void {
    const actor = this.#flock.shown.get(event.actor);
    const own = event.actor === client.avatar;
    const name = own ? "You" : actor ? nameOf(actor) : "Somebody";
    if (event.what.case === "text") {
      this.#bubbles.say(event.actor, event.what.value, own, this.#now);
      if (own) this.#announcer.say(`You said: ${event.what.value}`, this.#now);
      else this.#announcer.overheard(`${name} says: ${event.what.value}`, this.#now);
    } else if (event.what.case === "touched") {
      const id = event.what.value.entity;
      const colours = palette(this.#theme.isDark);
      this.#ripples.add(() => this.#flock.shown.get(id), own || id === client.avatar ? colours.own : colours.flock[0]!, this.#now);
      if (id === client.avatar) this.#toast(`${name} touched you`);
      else if (own) this.#announcer.say(`You touched ${this.#nameOf(id)}`, this.#now);
    }
  }

  #nameOf(id: bigint): string {
    const one = this.#flock.shown.get(id);
    return one ? nameOf(one) : "somebody";
  }

  // What the visitor does

  #listenToForms(): void {
    const name = element<HTMLInputElement>("name");
    name.value = `Visitor ${Math.floor(Math.random() * 900 + 100)}`;
    element<HTMLFormElement>("join").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#join();
    });
    element<HTMLFormElement>("speak").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = element<HTMLInputElement>("text");
      if (text.value.trim()) this.#participant?.speak(text.value.trim());
      text.value = "";
      element("map").focus();
    });
    const onClick = (id: string, run: () => void) => element(id).addEventListener("click", run);
    onClick("touch", () => this.#participant?.touch());
    onClick("grab", () => this.#participant?.grabOrDrop());
    onClick("spawn", () => this.#participant?.spawn());
    onClick("leave", () => this.#leave());
    onClick("follow", () => this.#follow(!this.#following));
    onClick("zoom-in", () => this.#camera.zoomBy(1.5));
    onClick("zoom-out", () => this.#camera.zoomBy(1 / 1.5));
    onClick("functions-open", () => this.#functions.toggle());
    onClick("theme", () => this.#theme.toggle());
    onClick("help-open", () => element<HTMLDialogElement>("help").showModal());
  }

  #commands(): Record<string, () => void> {
    return {
      e: () => this.#participant?.touch(),
      g: () => this.#participant?.grabOrDrop(),
      b: () => this.#participant?.spawn(),
      j: () => this.#visit.joined || element("name").focus(),
      n: () => this.#nearby.focus(),
      f: () => this.#follow(!this.#following),
      p: () => this.#functions.toggle(),
      l: () => this.#theme.toggle(),
      "+": () => this.#camera.zoomBy(1.5),
      "=": () => this.#camera.zoomBy(1.5),
      "-": () => this.#camera.zoomBy(1 / 1.5),
      "?": () => element<HTMLDialogElement>("help").showModal(),
      Enter: () => element(this.#visit.joined ? "text" : "name").focus(),
      Escape: () => {
        this.#functions.close();
        if (this.#walk) this.#walk.goal = undefined;
        element("map").focus();
      },
    };
  }

  #join(): void {
    const name = element<HTMLInputElement>("name").value.trim();
    if (name) this.#visit.join(name);
  }

  #leave(): void {
    this.#camera.glideTo(this.#walk?.at ?? this.#camera);
    const at = this.#walk && this.#projection.position(this.#walk.at);
    this.#visit.watch(at);
    this.#camera.zoomBy(Math.min(this.#camera.width, this.#camera.height) / watchingMetres / this.#camera.zoom);
  }

  #follow(on: boolean): void {
    this.#following = on;
    element("follow").setAttribute("aria-pressed", String(on));
  }

  #clicked(screen: Point): void {
    element("map").focus();
    const point = this.#camera.plane(screen.x, screen.y);
    const avatar = this.#visit.client?.avatar;
    const target = this.#flock.nearest(point, touchPixels / this.#camera.zoom, (one) => one.entity.id !== avatar);
    if (!this.#walk) {
      if (target) this.#toast(`${nameOf(target)} — join to say hello`);
      return;
    }
    if (target) this.#act(target);
    else {
      this.#walk.goal = point;
      this.#ripples.add(() => point, palette(this.#theme.isDark).own, this.#now);
    }
  }

  /** Somebody was chosen in the list. */
  #chosen(id: bigint): void {
    const one = this.#flock.shown.get(id);
    if (!one) return;
    if (this.#walk) this.#act(one);
    else {
      this.#camera.glideTo(one);
      this.#ripples.add(() => one, palette(this.#theme.isDark).own, this.#now);
    }
  }

  #act(target: Shown): void {
    const { at } = this.#walk!;
    if (Math.hypot(target.x - at.x, target.y - at.y) > 12) this.#walk!.goal = { x: target.x, y: target.y };
    if (isThing(target.entity)) this.#participant?.grabOrDrop(target);
    else this.#participant?.touch(target);
  }

  #hovered(screen: Point | undefined): void {
    this.#pointed = screen ? this.#cells.at(this.#projection.position(this.#camera.plane(screen.x, screen.y))) : "";
  }

  #toast(text: string): void {
    this.#announcer.toast(text, this.#now);
  }

  // Time

  /** Milliseconds of the client's clock. */
  get #now(): number {
    return performance.timeOrigin + performance.now();
  }

  #frame(): void {
    const time = performance.now();
    const ms = Math.min(250, time - this.#lastFrame);
    this.#lastFrame = time;
    const now = this.#now;
    const client = this.#visit.client;
    const colours = palette(this.#theme.isDark);
    this.#steer(ms, now);
    this.#camera.step(ms);
    this.#flock.step(now, ms, this.#camera, colours, client?.avatar ?? 0n, this.#walk?.at);
    this.#cells.draw(this.#camera, colours, client?.world.cells ?? new Map(), this.#ownCell(), this.#pointed);
    this.#ripples.step(now, this.#camera);
    this.#bubbles.step(now, this.#camera, (id) => this.#flock.shown.get(id));
    this.stage.draw(colours.ground);
    this.#hud.frame();
    if (time - this.#lastPanels > 250) this.#panels(time);
  }

  #steer(ms: number, now: number): void {
    const { x, y, map } = this.#keyboard.direction;
    if (this.#walk && !map) this.#walk.keys = { x, y };
    else if (x || y) {
      this.#camera.panBy((-x * panPixelsPerSecond * ms) / 1000, (y * panPixelsPerSecond * ms) / 1000);
      if (this.#walk) this.#follow(false);
    }
    this.#walk?.step(ms, now);
    this.#lead(ms, now);
    if (this.#following && this.#walk) this.#camera.glideTo(this.#walk.at);
  }

  /** A spectator goes after the middle of the map, so that what is there comes in sight. */
  #lead(ms: number, now: number): void {
    const spectator = this.#spectator;
    if (!spectator) return;
    const { x, y } = this.#camera;
    const metres = Math.hypot(x - spectator.at.x, y - spectator.at.y);
    const moved = Math.hypot(x - this.#middle.x, y - this.#middle.y) > 0.5;
    this.#middle = { x, y };
    if (metres > relocateMetres && !moved && now - this.#relocated > relocateEveryMs) {
      this.#relocated = now;
      spectator.relocate({ x, y });
    } else if (metres > spectatorLagMetres) spectator.goal = { x, y };
    spectator.step(ms, now);
  }

  #ownCell(): bigint {
    if (!this.#walk) return 0n;
    return this.#flock.own?.entity.cell ?? 0n;
  }

  #panels(time: number): void {
    this.#lastPanels = time;
    const client = this.#visit.client;
    const middle = this.#walk?.at ?? this.#camera;
    const neighbours = this.#neighbours(middle, client?.avatar ?? 0n);
    this.#nearby.show(neighbours.slice(0, 24), this.#flock.shown.size, this.#visit.joined);
    this.#names(neighbours, client?.avatar ?? 0n);
    this.#hud.latency(this.#latency);
    const cell = client?.world.cells.get(this.#ownCell() || BigInt(`0x${this.#cells.at(this.#projection.position(middle))}`));
    this.#hud.watchers(cell?.watchers);
    const held = this.#participant?.held();
    document.body.dataset["held"] = held ? "yes" : "no";
    element("grab").querySelector("span")!.textContent = held ? "Drop" : "Grab";
    setText("cell-fact", this.#cellFact());
    if (time - this.#lastRates < 1000) return;
    this.#lastRates = time;
    this.#hud.rates(time);
  }

  #cellFact(): string {
    const id = this.#pointed || (this.#ownCell() ? this.#ownCell().toString(16) : "");
    if (!id) return `${this.info.store} store`;
    const cell = this.#visit.client?.world.cells.get(BigInt(`0x${id}`));
    return cell ? `cell ${id}: ${cell.entities.size} here` : `cell ${id}`;
  }

  #neighbours(middle: Point, avatar: bigint): Neighbour[] {
    const found: Neighbour[] = [];
    for (const shown of this.#flock.shown.values()) {
      if (shown.leaving || shown.entity.id === avatar) continue;
      const metres = Math.hypot(shown.x - middle.x, shown.y - middle.y);
      if (metres < 150) found.push({ shown, metres });
    }
    return found.sort((a, b) => a.metres - b.metres);
  }

  /** Names of those nearest, where they do not cover each other. */
  #names(neighbours: readonly Neighbour[], avatar: bigint): void {
    const names = new Map<bigint, string>();
    const taken: Point[] = [];
    const put = (one: Shown, name: string) => {
      const at = { x: one.x * this.#camera.zoom, y: one.y * this.#camera.zoom };
      if (taken.some((t) => Math.abs(t.x - at.x) < 80 && Math.abs(t.y - at.y) < 17)) return;
      taken.push(at);
      names.set(one.entity.id, name);
    };
    if (this.#flock.own && this.#walk) put(this.#flock.own, "You");
    if (this.#camera.zoom > 2) {
      for (const { shown } of neighbours.slice(0, 16)) if (!isThing(shown.entity) && shown.entity.id !== avatar) put(shown, nameOf(shown));
    }
    this.#bubbles.names(names);
  }

  #resize(): void {
    const wide = innerWidth > 760;
    this.#camera.resize(innerWidth, innerHeight, wide ? { right: 320, bottom: 70, top: 0 } : { right: 0, bottom: 90, top: 150 });
    this.stage.resize(this.#camera);
  }
}

