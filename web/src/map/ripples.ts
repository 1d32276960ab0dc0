import { Graphics } from "pixi.js";
import type { Camera } from "./camera";
import type { Point } from "./projection";

interface Ripple {
  at: () => Point | undefined;
  colour: number;
  began: number;
}

const lifeMs = 1100;

/** Rings that run out from what was touched, or where one goes. */
export class Ripples {
  readonly layer = new Graphics();
  #ripples: Ripple[] = [];

  /** at is asked in each frame, so that a ring goes along with what it is of. */
  add(at: () => Point | undefined, colour: number, now: number): void {
    this.#ripples.push({ at, colour, began: now });
    if (this.#ripples.length > 60) this.#ripples.shift();
  }

  step(now: number, camera: Camera): void {
    if (this.#ripples.length === 0) return;
    this.layer.clear();
    this.#ripples = this.#ripples.filter((r) => now - r.began < lifeMs);
    for (const { at, colour, began } of this.#ripples) {
      const point = at();
      if (!point) continue;
      for (const delay of [0, 0.25]) {
        const part = (now - began) / lifeMs - delay;
        if (part <= 0) continue;
        const eased = 1 - (1 - part) ** 3;
        this.layer.circle(camera.screenX(point.x), camera.screenY(point.y), 6 + 44 * eased);
        this.layer.stroke({ width: 2.5 * (1 - part), color: colour, alpha: 1 - part });
      }
    }
  }
}
