/** Where time comes from; tests bring their own. */
export interface Scheduler {
  /** Milliseconds on a monotonic clock, with fractions. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  /** Uniform in 0..1, for jitter. */
  random(): number;
}

/** The machine's own clock. Its now() is performance.timeOrigin + performance.now(). */
export const systemScheduler: Scheduler = {
  now: () => performance.timeOrigin + performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: Math.random,
};

interface Sample {
  roundTripMs: number;
  offsetMs: number;
}

/**
 * Estimates the offset of the server's clock from pings: of the last eight
 * samples the one with the shortest round trip wins, since it had the least
 * queueing (clock filter of NTP, RFC 5905 section 10).
 */
export class ServerClock {
  #samples: Sample[] = [];
  #best: Sample | undefined;

  constructor(private readonly keep = 8) {}

  /** Takes one exchange: local times in milliseconds, the server's in microseconds of Unix time. */
  sample(sentMs: number, receivedMs: number, serverUs: bigint): void {
    const roundTripMs = receivedMs - sentMs;
    if (!(roundTripMs >= 0)) return;
    const offsetMs = Number(serverUs) / 1000 - (sentMs + receivedMs) / 2;
    this.#samples.push({ roundTripMs, offsetMs });
    if (this.#samples.length > this.keep) this.#samples.shift();
    this.#best = this.#samples.reduce((a, b) => (b.roundTripMs < a.roundTripMs ? b : a));
  }

  /** Forgets what is known: after a reconnection another gateway answers. */
  reset(): void {
    this.#samples = [];
    this.#best = undefined;
  }

  /** Server's time minus local time in milliseconds; undefined before the first pong. */
  get offsetMs(): number | undefined {
    return this.#best?.offsetMs;
  }

  /** The shortest round trip among the last samples, in milliseconds. */
  get roundTripMs(): number | undefined {
    return this.#best?.roundTripMs;
  }
}
