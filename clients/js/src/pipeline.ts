import { create } from "@bufbuild/protobuf";
import { isRetryable } from "./codes.js";
import { ActSchema, Code, type Act, type Outcome } from "./gen/api/starling/v1/client_pb.js";

/** An action's function with its arguments, as in the schema's Act. */
export type ActionFunction = Exclude<Act["function"], { case: undefined }>;

/** The session that an action was sent in is gone: whether it took effect is not known. */
export class SessionLostError extends Error {
  override name = "SessionLostError";
}

/** The client is closed. */
export class ClosedError extends Error {
  override name = "ClosedError";
  constructor(message: string, readonly code = 0) {
    super(message);
  }
}

/** More actions wait to be sent than the client keeps. */
export class QueueFullError extends Error {
  override name = "QueueFullError";
}

interface Entry {
  number: bigint; // 0: not numbered yet, since never sent
  what: ActionFunction;
  sent: boolean; // on its way in this connection
  firstSentAt: number;
  lastSentAt: number;
  attempts: number;
  resolve: (outcome: Outcome) => void;
  reject: (error: Error) => void;
}

export interface PipelineOptions {
  /** Actions unanswered at most; the server's Welcome lowers it. Default 32. */
  maxInFlight?: number;
  /** Actions waiting to be sent at most. Default 1024. */
  maxQueued?: number;
  random?: () => number;
}

/** How an action ended, with its first sending. */
export interface Settled {
  outcome: Outcome;
  what: ActionFunction;
  sentAt: number;
}

/**
 * Numbers the actions of a session, keeps up to maxInFlight of them under way,
 * and sends what was refused for now again, in order, under its number. It has
 * neither a socket nor a clock: the client asks what to send with due().
 */
export class Pipeline {
  #entries: Entry[] = []; // by number, unnumbered ones last
  #next = 1n;
  #lastFinal = 0n;
  #holdUntil = 0;
  #maxInFlight: number;
  readonly #maxQueued: number;
  readonly #random: () => number;

  constructor(options: PipelineOptions = {}) {
    this.#maxInFlight = options.maxInFlight ?? 32;
    this.#maxQueued = options.maxQueued ?? 1024;
    this.#random = options.random ?? Math.random;
  }

  /** The highest number whose final outcome is known. */
  get lastFinal(): bigint {
    return this.#lastFinal;
  }

  /** Actions under way. */
  get inFlight(): number {
    return this.#entries.reduce((n, e) => n + (e.sent ? 1 : 0), 0);
  }

  /** Actions without a final outcome, those not sent yet included. */
  get pending(): number {
    return this.#entries.length;
  }

  /** Takes an action; the promise settles with its final outcome. */
  submit(what: ActionFunction): Promise<Outcome> {
    if (this.#entries.length >= this.#maxQueued) {
      return Promise.reject(new QueueFullError(`${this.#maxQueued} actions wait already`));
    }
    return new Promise((resolve, reject) => {
      this.#entries.push({ number: 0n, what, sent: false, firstSentAt: 0, lastSentAt: 0, attempts: 0, resolve, reject });
    });
  }

  /** The time before which nothing is to be sent, if something waits for it. */
  nextDue(now: number): number | undefined {
    return this.#holdUntil > now && this.#entries.some((e) => !e.sent) ? this.#holdUntil : undefined;
  }

  /** The actions to send now, in order; they count as under way. */
  due(now: number): Act[] {
    if (now < this.#holdUntil) return [];
    const acts: Act[] = [];
    let room = this.#maxInFlight - this.inFlight;
    for (const entry of this.#entries) {
      if (entry.sent) continue;
      if (room-- <= 0) break;
      if (entry.number === 0n) {
        entry.number = this.#next++;
        entry.firstSentAt = now;
      }
      entry.sent = true;
      entry.lastSentAt = now;
      acts.push(create(ActSchema, { number: entry.number, function: entry.what }));
    }
    return acts;
  }

  /** Takes an outcome. Returns the action that it ended, if it is final and known. */
  outcome(outcome: Outcome, now: number): Settled | undefined {
    const index = this.#entries.findIndex((e) => e.number === outcome.number);
    const entry = this.#entries[index];
    if (!entry || outcome.number === 0n) return undefined;
    if (isRetryable(outcome.code)) {
      this.#refused(entry, outcome, now);
      return undefined;
    }
    this.#entries.splice(index, 1);
    if (outcome.number > this.#lastFinal) this.#lastFinal = outcome.number;
    entry.resolve(outcome);
    return { outcome, what: entry.what, sentAt: entry.firstSentAt };
  }

  #refused(entry: Entry, outcome: Outcome, now: number): void {
    entry.sent = false;
    let wait = outcome.retryAfterMs;
    if (outcome.code === Code.OUT_OF_ORDER) {
      // The one that is expected got lost, unless it was sent again since.
      const missing = this.#entries.find((e) => e.number === outcome.expected);
      if (missing?.sent && missing.lastSentAt <= entry.lastSentAt) missing.sent = false;
      wait = Math.max(wait, Math.min(250, 2 ** entry.attempts) * this.#random());
    } else {
      // What the gateway asks for, or from 5 ms doubling up to 250 ms; and a random quarter more.
      wait = (wait > 0 ? wait : Math.min(250, 5 * 2 ** entry.attempts)) * (1 + this.#random() / 4);
    }
    entry.attempts = Math.min(entry.attempts + 1, 16);
    this.#holdUntil = Math.max(this.#holdUntil, now + wait);
  }

  /** The connection broke: nothing is under way any more. */
  disconnected(): void {
    for (const entry of this.#entries) entry.sent = false;
    this.#holdUntil = Number.POSITIVE_INFINITY;
  }

  /**
   * A session opened or was resumed. Resumed: everything unanswered is due
   * again under its number; what the server has seen it answers, and does not
   * do again. New: what had been sent in the earlier session fails with
   * SessionLostError.
   */
  welcomed(resumed: boolean, nextNumber: bigint, maxInFlight: number): void {
    if (maxInFlight > 0) this.#maxInFlight = maxInFlight;
    this.#holdUntil = 0;
    if (resumed) return;
    this.sessionLost();
    this.#next = nextNumber > 0n ? nextNumber : 1n;
    this.#lastFinal = this.#next - 1n;
  }

  /** The session is gone: of what had been sent in it the fate is unknown. */
  sessionLost(): void {
    const lost = this.#entries.filter((e) => e.number !== 0n);
    this.#entries = this.#entries.filter((e) => e.number === 0n);
    this.#lastFinal = 0n;
    for (const entry of lost) {
      entry.reject(new SessionLostError(`the session ended before action ${entry.number} was answered`));
    }
  }

  /** Fails everything that has no outcome. */
  fail(error: Error): void {
    const entries = this.#entries;
    this.#entries = [];
    for (const entry of entries) entry.reject(error);
  }
}

