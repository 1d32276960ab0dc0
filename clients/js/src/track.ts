import { create } from "@bufbuild/protobuf";
import { geo, local } from "./actions.js";
import { PoseSchema, type Orientation, type Pose, type Vector } from "./gen/api/starling/v1/client_pb.js";

/** Metres per degree on the mean sphere of the Earth, radius 6,371,008.8 m. */
export const metresPerDegree = (6_371_008.8 * Math.PI) / 180;

export interface TrackOptions {
  /** Bounds how long a movement between two updates is taken to have lasted, and how long one goes on after the last: milliseconds, default 500. */
  windowMs?: number;
  /** Farther than this many metres, and than twice what the velocities explain, is a jump and is not smoothed. Default 20. */
  jumpMetres?: number;
  /** Updates kept. Default 6. */
  keep?: number;
}

interface Sample {
  at: number;
  pose: Pose;
}

type Triple = [east: number, north: number, up: number];

/**
 * The way of an entity through its updates, to be read somewhat in the past
 * (now minus 100 to 250 ms): linear between poses at rest, cubic Hermite where
 * a velocity is told, with tangents bounded to three times the way (Fritsch and
 * Carlson, 1980) so that it does not overshoot. After the last update it runs
 * on with its velocity for a short while.
 */
export class Track {
  #samples: Sample[] = [];
  readonly #options: Required<TrackOptions>;

  constructor(options: TrackOptions = {}) {
    this.#options = { windowMs: 500, jumpMetres: 20, keep: 6, ...options };
  }

  /** Takes a pose that held at time at (milliseconds); one that is not later than the last replaces it. */
  add(at: number, pose: Pose): void {
    const last = this.#samples.at(-1);
    if (last && at <= last.at) last.pose = pose;
    else this.#samples.push({ at, pose });
    if (this.#samples.length > this.#options.keep) this.#samples.shift();
  }

  /** The pose at time at (milliseconds); undefined before the first update. */
  at(at: number): Pose | undefined {
    const later = this.#samples.findIndex((s) => s.at > at);
    if (later === 0) return this.#samples[0]!.pose;
    if (later > 0) return this.#between(this.#samples[later - 1]!, this.#samples[later]!, at);
    const last = this.#samples.at(-1);
    return last && this.#after(last, at);
  }

  #after(last: Sample, at: number): Pose {
    const velocity = last.pose.velocity;
    if (!velocity || at <= last.at) return last.pose;
    const seconds = Math.min(at - last.at, this.#options.windowMs) / 1000;
    return displaced(last.pose, [velocity.east * seconds, velocity.north * seconds, velocity.up * seconds], last.pose.orientation);
  }

  #between(a: Sample, b: Sample, at: number): Pose {
    if (this.#jumped(a, b)) return a.pose; // until b's own time
    const begin = Math.max(a.at, b.at - this.#options.windowMs);
    if (at <= begin) return this.#after(a, at);
    const from = this.#after(a, begin);
    const way = difference(from, b.pose) ?? [0, 0, 0];
    const t = (at - begin) / (b.at - begin);
    const seconds = (b.at - begin) / 1000;
    return displaced(from, curve(way, a.pose.velocity, b.pose.velocity, seconds, t), slerp(a.pose.orientation, b.pose.orientation, t));
  }

  #jumped(a: Sample, b: Sample): boolean {
    const way = difference(a.pose, b.pose);
    const speed = Math.max(length(a.pose.velocity), length(b.pose.velocity));
    return !way || Math.hypot(...way) > this.#options.jumpMetres + (2 * speed * (b.at - a.at)) / 1000;
  }
}

function length(v: Vector | undefined): number {
  return v ? Math.hypot(v.east, v.north, v.up) : 0;
}

/** Metres east, north and up from a to b; undefined between map and place. */
function difference(a: Pose, b: Pose): Triple | undefined {
  const from = a.position?.in;
  const to = b.position?.in;
  if (from?.case === "local" && to?.case === "local") {
    return [to.value.east - from.value.east, to.value.north - from.value.north, to.value.up - from.value.up];
  }
  if (from?.case === "geo" && to?.case === "geo") {
    let degrees = to.value.longitude - from.value.longitude;
    if (degrees > 180) degrees -= 360;
    if (degrees < -180) degrees += 360;
    return [
      degrees * metresPerDegree * Math.cos((from.value.latitude * Math.PI) / 180),
      (to.value.latitude - from.value.latitude) * metresPerDegree,
      to.value.altitude - from.value.altitude,
    ];
  }
  return undefined;
}

function displaced(pose: Pose, [east, north, up]: Triple, orientation: Orientation | undefined): Pose {
  const from = pose.position?.in;
  let position = pose.position;
  if (from?.case === "local") {
    position = local(from.value.east + east, from.value.north + north, from.value.up + up);
  } else if (from?.case === "geo") {
    const perDegree = metresPerDegree * Math.max(1e-9, Math.cos((from.value.latitude * Math.PI) / 180));
    const longitude = from.value.longitude + east / perDegree;
    const latitude = Math.max(-90, Math.min(90, from.value.latitude + north / metresPerDegree));
    position = geo(latitude, longitude > 180 ? longitude - 360 : longitude < -180 ? longitude + 360 : longitude, from.value.altitude + up);
  }
  return create(PoseSchema, { position, orientation, velocity: pose.velocity });
}

/** The part t (0..1) of the way; seconds is its duration. */
function curve(way: Triple, v0: Vector | undefined, v1: Vector | undefined, seconds: number, t: number): Triple {
  if (length(v0) === 0 && length(v1) === 0) return [way[0] * t, way[1] * t, way[2] * t];
  const bound = 3 * Math.hypot(...way);
  const m0 = tangent(v0, seconds, bound);
  const m1 = tangent(v1, seconds, bound);
  const h10 = t * (1 - t) * (1 - t);
  const h01 = t * t * (3 - 2 * t);
  const h11 = t * t * (t - 1);
  return [0, 1, 2].map((i) => h10 * m0[i]! + h01 * way[i]! + h11 * m1[i]!) as Triple;
}

function tangent(v: Vector | undefined, seconds: number, bound: number): Triple {
  if (!v) return [0, 0, 0];
  const m: Triple = [v.east * seconds, v.north * seconds, v.up * seconds];
  const length = Math.hypot(...m);
  const scale = length > bound ? bound / length : 1;
  return [m[0] * scale, m[1] * scale, m[2] * scale];
}

/** Spherical linear interpolation of rotations, the short way (Shoemake, 1985). */
function slerp(a: Orientation | undefined, b: Orientation | undefined, t: number): Orientation | undefined {
  if (!a || !b) return b ?? a;
  let dot = a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
  const sign = dot < 0 ? -1 : 1;
  dot = Math.min(1, Math.abs(dot));
  const angle = Math.acos(dot);
  const sine = Math.sin(angle);
  const wa = sine < 1e-6 ? 1 - t : Math.sin((1 - t) * angle) / sine;
  const wb = (sine < 1e-6 ? t : Math.sin(t * angle) / sine) * sign;
  return { ...b, x: wa * a.x + wb * b.x, y: wa * a.y + wb * b.y, z: wa * a.z + wb * b.z, w: wa * a.w + wb * b.w };
}
