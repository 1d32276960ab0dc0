import { Emitter } from "./emitter.js";
import {
  Change,
  type CellFrame,
  type Event,
  type Pose,
  type Update,
} from "./gen/api/starling/v1/client_pb.js";
import { AheadEvents } from "./ahead.js";
import { fromAttributes, type AttributeValue } from "./values.js";
import { compareVersions, type VersionLike } from "./version.js";

/** An entity as last seen. Objects are replaced, never changed. */
export interface Entity {
  readonly id: bigint;
  readonly cell: bigint;
  readonly place: bigint;
  readonly version: VersionLike;
  readonly kind: string;
  readonly pose: Pose | undefined;
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  /** The entity that holds it; 0n: nobody. */
  readonly holder: bigint;
  /** On its way between shards: it cannot be acted on. */
  readonly frozen: boolean;
  /** The avatar whose action caused the last change (0n: the world), and the action's number. */
  readonly by: bigint;
  readonly number: bigint;
  readonly change: Change;
  /** When it arrived, in milliseconds of the client's Scheduler. */
  readonly receivedAt: number;
  /** Milliseconds since the oldest action of its commit had come in at a gateway. */
  readonly ageMs: number;
}

/** A watched cell. */
export interface WatchedCell {
  readonly id: bigint;
  readonly place: bigint;
  readonly epoch: number;
  readonly sequence: bigint;
  /** Participants who watch it. */
  readonly watchers: number;
  /** A crowd over the participant's budget: states other than of those near come late. */
  readonly thinned: boolean;
  /** What it holds, as far as this cell's frames say. */
  readonly entities: ReadonlyMap<bigint, Entity>;
}

export interface SeenEvent {
  readonly event: Event;
  readonly cell: bigint;
  readonly receivedAt: number;
  readonly ageMs: number;
}

export interface WorldEvents {
  /** An entity is new or changed. */
  update: { entity: Entity; previous: Entity | undefined };
  /** An entity is out of sight: REMOVED from the world, LEFT for an unwatched cell, or CHANGED: just not watched any more. */
  gone: { entity: Entity; change: Change };
  /** Speech, touches and events of games. */
  event: SeenEvent;
  /** A cell was read anew, its number of watchers changed, or it began or ceased to be thinned. */
  cell: WatchedCell;
  unwatched: { cell: bigint };
  /** Events that this connection was too slow for. */
  missed: { cell: bigint; count: number };
}

interface CellState extends WatchedCell {
  place: bigint;
  epoch: number;
  sequence: bigint;
  watchers: number;
  thinned: boolean;
  entities: Map<bigint, Entity>;
  ahead: AheadEvents;
}

interface Tombstone {
  version: VersionLike;
  final: boolean; // REMOVED: nothing of this version or older counts
  at: number;
}

/** Tombstones are needed as long as older messages may be under way. */
const tombstoneMs = 60_000;

/**
 * The view of the world that cell frames add up to. Each cell's frames are
 * followed on their own; of an entity that two cells speak of, the highest
 * version counts, so that no late message brings back what has left.
 */
export class World extends Emitter<WorldEvents> {
  #cells = new Map<bigint, CellState>();
  #entities = new Map<bigint, Entity>();
  #tombstones = new Map<bigint, Tombstone>();
  #swept = 0;

  /** Entities in sight, by id. */
  get entities(): ReadonlyMap<bigint, Entity> {
    return this.#entities;
  }

  /** Watched cells, by H3 index. */
  get cells(): ReadonlyMap<bigint, WatchedCell> {
    return this.#cells;
  }

  /**
   * Takes a frame that arrived at receivedAt (milliseconds). False: it does not
   * build on what is known, so that something was lost. Frames that end at or
   * before what is known, and frames of cells without a baseline, are skipped.
   */
  apply(frame: CellFrame, receivedAt: number): boolean {
    this.#sweep(receivedAt);
    if (frame.unwatched) {
      this.#unwatch(frame.cell, receivedAt);
      return true;
    }
    const cell = this.#cells.get(frame.cell);
    if (frame.partial) {
      if (cell?.epoch === frame.epoch) this.#steps(cell, frame, receivedAt); // what is skipped the chain tells
    } else if (frame.baseline) {
      this.#baseline(frame, receivedAt);
    } else if (cell && frame.epoch >= cell.epoch) {
      if (isGap(cell, frame)) return false;
      if (frame.sequence > cell.sequence || (frame.sequence === cell.sequence && frame.from === frame.sequence)) {
        cell.sequence = frame.sequence;
        this.#steps(cell, frame, receivedAt);
        this.#describe(cell, frame);
      }
    }
    if (frame.missedEvents > 0) this.emit("missed", { cell: frame.cell, count: frame.missedEvents });
    return true;
  }

  /** Forgets what is watched, but not the versions seen: a connection starts anew with baselines. */
  clear(now: number): void {
    for (const cell of [...this.#cells.keys()]) this.#unwatch(cell, now);
  }

  #describe(cell: CellState, frame: CellFrame): void {
    const watchers = frame.watchers || cell.watchers;
    if (watchers === cell.watchers && frame.thinned === cell.thinned) return;
    cell.watchers = watchers;
    cell.thinned = frame.thinned;
    this.emit("cell", cell);
  }

  #baseline(frame: CellFrame, receivedAt: number): void {
    const before = this.#cells.get(frame.cell);
    const cell: CellState = {
      id: frame.cell,
      place: frame.place,
      epoch: frame.epoch,
      sequence: frame.sequence,
      watchers: frame.watchers || (before?.watchers ?? 0),
      thinned: frame.thinned,
      entities: new Map(),
      ahead: before?.ahead ?? new AheadEvents(),
    };
    this.#cells.set(frame.cell, cell);
    this.#steps(cell, frame, receivedAt);
    for (const entity of before?.entities.values() ?? []) {
      if (!cell.entities.has(entity.id)) this.#leave(cell.id, entity, entity.version, Change.LEFT, receivedAt);
    }
    this.emit("cell", cell);
  }

  #steps(cell: CellState, frame: CellFrame, receivedAt: number): void {
    for (const commit of frame.commits) {
      const ageMs = commit.ageUs / 1000;
      for (const step of commit.steps) {
        if (step.is.case === "update") this.#update(cell, step.is.value, receivedAt, ageMs);
        else if (step.is.case === "event" && cell.ahead.take(step.is.value, frame.partial)) {
          this.emit("event", { event: step.is.value, cell: cell.id, receivedAt, ageMs });
        }
      }
    }
  }

  #update(cell: CellState, update: Update, receivedAt: number, ageMs: number): void {
    const version: VersionLike = update.version ?? { handovers: 0, epoch: 0, sequence: 0n };
    const inCell = cell.entities.get(update.entity);
    if (update.change === Change.LEFT || update.change === Change.REMOVED) {
      this.#ended(cell, update, version, inCell, receivedAt);
      return;
    }
    if (inCell && compareVersions(version, inCell.version) < 0) return;
    const tombstone = this.#tombstones.get(update.entity);
    if (tombstone) {
      const order = compareVersions(version, tombstone.version);
      if (order < 0 || (order === 0 && tombstone.final)) return;
    }
    const previous = this.#entities.get(update.entity);
    const known = inCell ?? previous;
    const entity: Entity = {
      id: update.entity,
      cell: cell.id,
      place: cell.place,
      version,
      kind: update.kind || (known?.kind ?? ""),
      pose: update.pose,
      attributes: update.attributes ? fromAttributes(update.attributes) : (known?.attributes ?? new Map()),
      holder: update.holder,
      frozen: update.frozen,
      by: update.by,
      number: update.number,
      change: update.change,
      receivedAt,
      ageMs,
    };
    cell.entities.set(update.entity, entity);
    if (previous && compareVersions(version, previous.version) < 0) return;
    this.#tombstones.delete(update.entity);
    this.#entities.set(update.entity, entity);
    this.emit("update", { entity, previous });
  }

  #ended(cell: CellState, update: Update, version: VersionLike, inCell: Entity | undefined, now: number): void {
    if (inCell && compareVersions(version, inCell.version) < 0) return;
    cell.entities.delete(update.entity);
    if (update.change === Change.REMOVED) {
      const seen = this.#entities.get(update.entity);
      if (seen && compareVersions(version, seen.version) < 0) return;
      this.#bury(update.entity, version, true, now);
      if (seen) this.#forget(seen, Change.REMOVED);
      return;
    }
    if (inCell) this.#leave(cell.id, inCell, version, Change.LEFT, now);
    else this.#bury(update.entity, version, false, now);
  }

  /** An entity is no longer in the cell: it may be known from another one. */
  #leave(cell: bigint, entity: Entity, version: VersionLike, change: Change, now: number): void {
    const shown = this.#entities.get(entity.id);
    if (!shown || shown.cell !== cell) return;
    let best: Entity | undefined;
    for (const other of this.#cells.values()) {
      const there = other.id === cell ? undefined : other.entities.get(entity.id);
      if (there && compareVersions(there.version, version) >= 0) {
        if (!best || compareVersions(there.version, best.version) > 0) best = there;
      }
    }
    if (best) {
      this.#entities.set(entity.id, best);
      this.emit("update", { entity: best, previous: shown });
      return;
    }
    this.#bury(entity.id, version, false, now);
    this.#forget(shown, change);
  }

  #forget(entity: Entity, change: Change): void {
    this.#entities.delete(entity.id);
    if (change === Change.REMOVED) {
      for (const cell of this.#cells.values()) cell.entities.delete(entity.id);
    }
    this.emit("gone", { entity, change });
  }

  #unwatch(id: bigint, now: number): void {
    const cell = this.#cells.get(id);
    if (!cell) return;
    this.#cells.delete(id);
    for (const entity of cell.entities.values()) this.#leave(id, entity, entity.version, Change.CHANGED, now);
    this.emit("unwatched", { cell: id });
  }

  #bury(id: bigint, version: VersionLike, final: boolean, at: number): void {
    const before = this.#tombstones.get(id);
    if (before) {
      const order = compareVersions(before.version, version);
      if (order > 0 || (order === 0 && before.final)) return;
    }
    this.#tombstones.set(id, { version, final, at });
  }

  #sweep(now: number): void {
    if (now - this.#swept < tombstoneMs / 4) return;
    this.#swept = now;
    for (const [id, tombstone] of this.#tombstones) {
      if (now - tombstone.at > tombstoneMs) this.#tombstones.delete(id);
    }
  }
}

function isGap(cell: CellState, frame: CellFrame): boolean {
  if (frame.epoch !== cell.epoch) return true;
  return !frame.conflated && frame.from > cell.sequence;
}
