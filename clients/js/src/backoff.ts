/** Limits of the waits between attempts, in milliseconds. */
export interface BackoffOptions {
  /** First wait at most; default 250. */
  firstMs?: number;
  /** Longest wait; default 10,000. */
  longestMs?: number;
}

/**
 * Exponential waits with full jitter ("Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015): uniform between 0 and the doubling bound, so that
 * clients who lost the same gateway do not come back together.
 */
export class Backoff {
  #attempt = 0;
  readonly #first: number;
  readonly #longest: number;

  constructor(options: BackoffOptions = {}, private readonly random: () => number = Math.random) {
    this.#first = options.firstMs ?? 250;
    this.#longest = options.longestMs ?? 10_000;
  }

  /** Attempts since the last reset. */
  get attempts(): number {
    return this.#attempt;
  }

  /**
   * The next wait. A wait that the server asked for is kept, with up to half
   * of it on top. "At once" holds for the first attempt only: a server that keeps
   * saying so is not asked without end.
   */
  next(askedMs?: number): number {
    const bound = Math.min(this.#longest, this.#first * 2 ** Math.min(this.#attempt, 30));
    const first = this.#attempt++ === 0;
    if (askedMs !== undefined && (askedMs > 0 || first)) return askedMs + (askedMs / 2) * this.random();
    return bound * this.random();
  }

  reset(): void {
    this.#attempt = 0;
  }
}
