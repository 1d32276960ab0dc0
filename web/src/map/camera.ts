import type { Point } from "./projection";

const nearest = 28; // pixels per metre
const farthest = 0.12;

/** What part of the plane is on the screen. Screen coordinates are CSS pixels from the top left. */
export class Camera {
  x = 0;
  y = 0;
  /** Pixels per metre. */
  zoom = 1;
  width = 1;
  height = 1;
  /** Screen space taken by panels, so that the middle is where one looks. */
  inset = { right: 0, bottom: 0, top: 0 };
  /** Where (x, y) is on the screen. */
  middle: Point = { x: 0, y: 0 };
  #zoomTo = 1;
  #goal: Point | undefined;

  resize(width: number, height: number, inset: { right: number; bottom: number; top: number }): void {
    this.width = width;
    this.height = height;
    this.inset = inset;
    this.middle = { x: (width - inset.right) / 2, y: (height + inset.top - inset.bottom) / 2 };
  }

  screenX(x: number): number {
    return this.middle.x + (x - this.x) * this.zoom;
  }

  screenY(y: number): number {
    return this.middle.y - (y - this.y) * this.zoom;
  }

  plane(screenX: number, screenY: number): Point {
    const { x, y } = this.middle;
    return { x: this.x + (screenX - x) / this.zoom, y: this.y - (screenY - y) / this.zoom };
  }

  /** Sets the zoom at once so that this many metres fit. */
  fit(metres: number): void {
    const space = Math.min(this.width - this.inset.right, this.height - this.inset.bottom - this.inset.top);
    this.zoom = this.#zoomTo = clamp(space / metres);
  }

  zoomBy(factor: number, at?: Point): void {
    const before = at && this.plane(at.x, at.y);
    this.#zoomTo = clamp(this.#zoomTo * factor);
    if (!at || !before) return;
    this.zoom = this.#zoomTo;
    const after = this.plane(at.x, at.y);
    this.x += before.x - after.x;
    this.y += before.y - after.y;
  }

  panBy(screenX: number, screenY: number): void {
    this.#goal = undefined;
    this.x -= screenX / this.zoom;
    this.y += screenY / this.zoom;
  }

  /** Glides to a point. */
  glideTo(point: Point): void {
    this.#goal = { ...point };
  }

  /** Moves on by some milliseconds, as exponential smoothing. */
  step(ms: number): void {
    const part = 1 - Math.exp(-ms / 140);
    this.zoom += (this.#zoomTo - this.zoom) * part;
    if (!this.#goal) return;
    this.x += (this.#goal.x - this.x) * part;
    this.y += (this.#goal.y - this.y) * part;
  }
}

function clamp(zoom: number): number {
  return Math.min(nearest, Math.max(farthest, zoom));
}
