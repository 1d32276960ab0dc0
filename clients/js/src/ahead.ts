import type { Event } from "./gen/api/starling/v1/client_pb.js";

/** Bounds the events remembered of a cell: the chain tells them again within about a second, or never. */
const maxAhead = 1024;

/**
 * The events of a cell that partial frames told, so that they are not told
 * again when the cell's chain brings them.
 */
export class AheadEvents {
  #told = new Map<string, number>(); // how often each was told and not yet brought again; oldest first

  /** Whether an event is new to the application. */
  take(event: Event, partial: boolean): boolean {
    if (!partial && this.#told.size === 0) return true;
    const v = event.version;
    const key = `${event.actor} ${event.number} ${v?.handovers} ${v?.epoch} ${v?.sequence}`;
    const told = this.#told.get(key) ?? 0;
    if (partial) {
      this.#told.set(key, told + 1);
      if (this.#told.size > maxAhead) {
        for (const oldest of this.#told.keys()) {
          this.#told.delete(oldest);
          break;
        }
      }
      return true;
    }
    if (told > 1) this.#told.set(key, told - 1);
    else this.#told.delete(key);
    return told === 0;
  }
}
