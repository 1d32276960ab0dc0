import { geo, isApplied, pose, type Client } from "@starling-vr/client";
import type { Point, Projection } from "./map/projection";

/** Metres per second: of a participant, and of a spectator who goes where the map is moved to. */
export const walkingSpeed = 3.6;
export const spectatorSpeed = 10;
const betweenMovesMs = 100;
const mostPending = 6;

/** The participant's own steps: shown at once, sent ten times a second. */
export class Walk {
  readonly at: Point;
  readonly velocity: Point = { x: 0, y: 0 };
  goal: Point | undefined;
  /** Direction from keys, each -1..1. */
  keys: Point = { x: 0, y: 0 };
  #lastSent = 0;
  #sentMoving = false;

  constructor(
    private readonly client: Client,
    private readonly projection: Projection,
    start: Point,
    private readonly refused: (message: string) => void,
    private readonly speed = walkingSpeed,
  ) {
    this.at = { ...start };
  }

  get moving(): boolean {
    return this.velocity.x !== 0 || this.velocity.y !== 0;
  }

  step(ms: number, now: number): void {
    const seconds = Math.min(ms, 100) / 1000;
    this.#steer(seconds);
    this.at.x += this.velocity.x * seconds;
    this.at.y += this.velocity.y * seconds;
    const due = now - this.#lastSent >= betweenMovesMs;
    if (due && (this.moving || this.#sentMoving) && this.client.pending < mostPending) this.#send(now);
  }

  /** The server says where it is: after a refusal, or a new session. */
  moveTo(point: Point): void {
    Object.assign(this.at, point);
    this.goal = undefined;
  }

  /** Asks to be set down far away, which the server grants once in a while. */
  relocate(point: Point): void {
    const { latitude, longitude } = this.projection.position(point);
    this.client.move(pose(geo(latitude, longitude)), { relocate: true }).then(
      ({ code }) => isApplied(code) && this.moveTo(point),
      () => {},
    );
  }

  #steer(seconds: number): void {
    let { x, y } = this.keys;
    let { speed } = this;
    if (x || y) this.goal = undefined;
    else if (this.goal) {
      x = this.goal.x - this.at.x;
      y = this.goal.y - this.at.y;
      const distance = Math.hypot(x, y);
      speed = Math.min(speed, distance / Math.max(seconds, 0.001));
      if (distance < 0.3) this.goal = undefined;
    }
    const length = Math.hypot(x, y);
    const go = length > 0 && (this.goal !== undefined || this.keys.x !== 0 || this.keys.y !== 0);
    this.velocity.x = go ? (x / length) * speed : 0;
    this.velocity.y = go ? (y / length) * speed : 0;
  }

  #send(now: number): void {
    this.#lastSent = now;
    this.#sentMoving = this.moving;
    const { latitude, longitude } = this.projection.position(this.at);
    const velocity = this.moving ? { east: this.velocity.x, north: this.velocity.y } : undefined;
    this.client.move(pose(geo(latitude, longitude), velocity)).then(
      (outcome) => {
        if (!isApplied(outcome.code)) this.refused(outcome.message);
      },
      () => {},
    );
  }
}
