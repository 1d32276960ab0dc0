import type { Pose } from "./gen/api/starling/v1/client_pb.js";
import { metresPerDegree } from "./track.js";

export interface MotionOptions {
  /** Time in which a difference between shown and told is smoothed away, in milliseconds. Default 200. */
  blendMs?: number;
  /** How long a velocity is believed without an update, in milliseconds. Default 1000. */
  extrapolateMs?: number;
  /** A difference beyond this many metres is a jump and is shown as one. Default 60. */
  jumpMetres?: number;
}

/**
 * Where to show an entity between its updates: projective velocity blending
 * (Murphy, "Believable Dead Reckoning for Networked Games", Game Engine Gems 2,
 * 2011). The last told position runs on with its velocity while the difference
 * to what was shown fades. An entity that tells no velocity but moves is shown
 * moving evenly to each new position in the time between its last two updates.
 *
 * x, y, z are longitude, latitude (degrees) and altitude (metres), or metres
 * east, north and up inside a place.
 */
export class Motion {
  x = 0;
  y = 0;
  z = 0;
  /** Direction of movement in radians, counterclockwise from east; kept while at rest. */
  heading = Math.PI / 2;
  /** Metres per second. */
  speed = 0;

  #told = { x: 0, y: 0, z: 0, at: 0 };
  #velocity = { x: 0, y: 0, z: 0 }; // units of x, y, z per millisecond
  #difference = { x: 0, y: 0, z: 0 };
  #even = false;
  #blend: number;
  #started = false;
  #geographic = true;
  readonly #options: Required<MotionOptions>;

  constructor(options: MotionOptions = {}) {
    this.#options = { blendMs: 200, extrapolateMs: 1000, jumpMetres: 60, ...options };
    this.#blend = this.#options.blendMs;
  }

  /** Takes a pose that held at time at (milliseconds), e.g. arrival minus age. */
  update(pose: Pose | undefined, at: number): void {
    const position = pose?.position?.in;
    if (position?.case === "geo") {
      this.#geographic = true;
      this.#take(position.value.longitude, position.value.latitude, position.value.altitude, pose!, at);
    } else if (position?.case === "local") {
      this.#geographic = false;
      this.#take(position.value.east, position.value.north, position.value.up, pose!, at);
    }
  }

  #take(x: number, y: number, z: number, pose: Pose, at: number): void {
    const first = !this.#started;
    if (!first) this.show(at);
    const shown = { x: this.x, y: this.y, z: this.z };
    const told = { ...this.#told };
    const perUnitX = this.#geographic ? metresPerDegree * Math.max(0.01, Math.cos((y * Math.PI) / 180)) : 1;
    const perUnitY = this.#geographic ? metresPerDegree : 1;
    const east = pose.velocity?.east ?? 0;
    const north = pose.velocity?.north ?? 0;
    this.#told = { x, y, z, at };
    this.#velocity = { x: east / perUnitX / 1000, y: north / perUnitY / 1000, z: (pose.velocity?.up ?? 0) / 1000 };
    this.speed = Math.hypot(east, north);
    if (this.speed > 0.05) this.heading = Math.atan2(north, east);
    this.#started = true;

    const dx = this.#shortest(shown.x - x);
    const dy = shown.y - y;
    const metres = Math.hypot(dx * perUnitX, dy * perUnitY);
    if (first || metres > this.#options.jumpMetres) {
      this.#difference = { x: 0, y: 0, z: 0 };
    } else {
      this.#difference = { x: dx, y: dy, z: shown.z - z };
      const movedX = this.#shortest(x - told.x) * perUnitX;
      const movedY = (y - told.y) * perUnitY;
      this.#even = this.speed === 0 && Math.hypot(movedX, movedY) > 0.05 && at - told.at < 2500;
      this.#blend = this.#even ? Math.min(2000, Math.max(50, at - told.at)) : this.#options.blendMs;
      if (this.#even) {
        this.heading = Math.atan2(movedY, movedX);
        this.speed = (Math.hypot(movedX, movedY) / Math.max(1, at - told.at)) * 1000;
      }
    }
    this.show(at);
  }

  /** Sets x, y, z to where the entity is shown at time now (milliseconds). */
  show(now: number): void {
    const since = Math.max(0, now - this.#told.at);
    const run = Math.min(since, this.#options.extrapolateMs);
    const part = Math.min(1, since / this.#blend);
    const left = this.#even ? 1 - part : 1 - part * part * (3 - 2 * part);
    if (this.#even && part === 1) this.speed = 0;
    this.x = this.#wrap(this.#told.x + this.#velocity.x * run + this.#difference.x * left);
    this.y = this.#told.y + this.#velocity.y * run + this.#difference.y * left;
    this.z = this.#told.z + this.#velocity.z * run + this.#difference.z * left;
  }

  #shortest(degrees: number): number {
    if (!this.#geographic) return degrees;
    return degrees > 180 ? degrees - 360 : degrees < -180 ? degrees + 360 : degrees;
  }

  #wrap(x: number): number {
    return this.#geographic ? this.#shortest(x) : x;
  }
}
