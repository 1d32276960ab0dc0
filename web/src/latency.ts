const kept = 500;

/** Latencies of one's own actions: the last 500, and how many missed the deadline. */
export class Latency {
  deadlineMs = 15;
  count = 0;
  misses = 0;
  #recent: number[] = [];

  add(ms: number): void {
    this.count++;
    if (ms > this.deadlineMs) this.misses++;
    this.#recent.push(ms);
    if (this.#recent.length > kept) this.#recent.shift();
  }

  reset(): void {
    this.count = this.misses = 0;
    this.#recent = [];
  }

  /** The last n, oldest first. */
  last(n: number): number[] {
    return this.#recent.slice(-n);
  }

  /** A quantile of the last 500 in milliseconds (nearest rank); undefined without any. */
  quantile(q: number): number | undefined {
    const sorted = [...this.#recent].sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  }
}
