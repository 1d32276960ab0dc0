import { metresPerDegree } from "@starling-vr/client";

/** A point of the page's plane: metres east and north of the origin. */
export interface Point {
  x: number;
  y: number;
}

const radians = Math.PI / 180;
const mercator = (latitude: number) => Math.log(Math.tan(Math.PI / 4 + (latitude * radians) / 2)) / radians;

/** Mercator's projection, scaled to metres at the latitude of its origin. */
export class Projection {
  readonly #scale: number;
  readonly #north: number;

  constructor(latitude: number, private readonly longitude: number) {
    this.#scale = metresPerDegree * Math.cos(latitude * radians);
    this.#north = mercator(latitude);
  }

  /** The point of a geographic position, by the shorter way around the globe. */
  point(latitude: number, longitude: number): Point {
    let degrees = longitude - this.longitude;
    if (degrees > 180) degrees -= 360;
    if (degrees < -180) degrees += 360;
    return { x: degrees * this.#scale, y: (mercator(Math.max(-89, Math.min(89, latitude))) - this.#north) * this.#scale };
  }

  position(point: Point): { latitude: number; longitude: number } {
    let longitude = this.longitude + point.x / this.#scale;
    if (longitude > 180) longitude -= 360;
    if (longitude < -180) longitude += 360;
    const latitude = (2 * Math.atan(Math.exp((this.#north + point.y / this.#scale) * radians)) - Math.PI / 2) / radians;
    return { latitude, longitude };
  }
}
