import { Particle, ParticleContainer, type Texture } from "pixi.js";
import { Change, Motion, type Entity, type World } from "@starling-vr/client";
import type { Camera } from "./camera";
import type { Palette } from "./palette";
import type { Point, Projection } from "./projection";
import type { Shapes } from "./shapes";

/** An entity on the map, with where it is shown now. */
export interface Shown extends Point {
  entity: Entity;
  motion: Motion;
  alpha: number;
  leaving: boolean;
  body: Particle;
  wake: Particle;
}

const fadeMs = 300;

export function isThing(entity: Entity): boolean {
  return entity.kind !== "avatar" && entity.kind !== "";
}

export function isHidden(entity: Entity): boolean {
  return entity.attributes.get("spectator") === true;
}

/** Everyone and everything in view, moved on between updates. */
export class Flock {
  readonly wakes: ParticleContainer;
  readonly bodies: ParticleContainer;
  readonly shown = new Map<bigint, Shown>();
  own: Shown | undefined;

  constructor(
    private readonly shapes: Shapes,
    private readonly projection: Projection,
  ) {
    const container = (texture: Texture) =>
      new ParticleContainer({ texture, dynamicProperties: { position: true, rotation: true, vertex: true, color: true, uvs: true } });
    this.wakes = container(shapes.wake);
    this.bodies = container(shapes.bird);
  }

  /** Shows another world; the one before fades. */
  follow(world: World): () => void {
    for (const one of this.shown.values()) one.leaving = true;
    const offs = [
      world.on("update", ({ entity }) => this.#update(entity)),
      world.on("gone", ({ entity }) => this.#gone(entity)),
    ];
    return () => offs.forEach((off) => off());
  }

  #update(entity: Entity): void {
    if (isHidden(entity)) return;
    let one = this.shown.get(entity.id);
    if (!one) {
      one = {
        entity, x: 0, y: 0, alpha: 0, leaving: false,
        motion: new Motion(),
        body: this.#particle(isThing(entity) ? this.shapes.thing : this.shapes.bird),
        wake: this.#particle(this.shapes.wake),
      };
      this.shown.set(entity.id, one);
    }
    one.leaving = false;
    one.entity = entity;
    if (entity.change !== Change.PRESENT || one.alpha === 0) one.motion.update(entity.pose, entity.receivedAt - entity.ageMs);
    else one.motion.update(entity.pose, entity.receivedAt);
  }

  #gone(entity: Entity): void {
    const one = this.shown.get(entity.id);
    if (one) one.leaving = true;
  }

  #particle(texture: Texture): Particle {
    return new Particle({ texture, anchorX: 0.5, anchorY: 0.5 });
  }

  /** Moves everything to where it is at time now (milliseconds); own is where the participant itself is. */
  step(now: number, ms: number, camera: Camera, palette: Palette, avatar: bigint, own: Point | undefined): void {
    for (const [id, one] of this.shown) {
      one.alpha = Math.min(1, Math.max(0, one.alpha + (one.leaving ? -ms : ms) / fadeMs));
      if (one.leaving && one.alpha === 0) {
        this.shown.delete(id);
          continue;
      }
      one.motion.show(now);
      const { x, y } = id === avatar && own ? own : this.projection.point(one.motion.y, one.motion.x);
      one.x = x;
      one.y = y;
    }
    this.own = this.shown.get(avatar);
    this.#carry();
    this.#draw(camera, palette);
  }

  /** Hands what is on the screen to the GPU. */
  #draw(camera: Camera, palette: Palette): void {
    const bodies: Particle[] = [];
    const wakes: Particle[] = [];
    const margin = 40;
    for (const one of this.shown.values()) {
      const x = camera.screenX(one.x);
      const y = camera.screenY(one.y);
      if (x < -margin || y < -margin || x > camera.width + margin || y > camera.height + margin) continue;
      this.#place(one, x, y, camera.zoom, palette, one === this.own);
      bodies.push(one.body);
      if (one.wake.alpha > 0) wakes.push(one.wake);
    }
    this.bodies.particleChildren = bodies;
    this.wakes.particleChildren = wakes;
    this.bodies.update();
    this.wakes.update();
  }

  /** What is held goes where its holder is shown. */
  #carry(): void {
    for (const one of this.shown.values()) {
      const holder = one.entity.holder ? this.shown.get(one.entity.holder) : undefined;
      if (!holder) continue;
      one.x = holder.x + 0.9;
      one.y = holder.y + 0.9;
    }
  }

  #place(one: Shown, x: number, y: number, zoom: number, palette: Palette, own: boolean): void {
    const { body, wake, motion } = one;
    const thing = isThing(one.entity);
    const moving = !thing && motion.speed > 0.2;
    const pixels = (thing ? 0.8 : 1) * (own ? 1.5 : 1) * Math.min(30, Math.max(5.5, 9.5 * Math.sqrt(zoom)));
    body.x = wake.x = x;
    body.y = wake.y = y;
    body.scaleX = body.scaleY = pixels / 52;
    body.rotation = wake.rotation = -motion.heading;
    body.texture = thing ? this.shapes.thing : moving || own ? this.shapes.bird : this.shapes.resting;
    const colour = own ? palette.own : thing ? palette.things : palette.flock[Number(one.entity.id % BigInt(palette.flock.length))]!;
    body.tint = wake.tint = colour;
    body.alpha = one.alpha * (moving || own || thing ? 1 : 0.6);
    const length = moving ? (motion.speed * 1.6 * zoom) / 58 : 0;
    wake.alpha = moving && zoom > 1.2 ? one.alpha * 0.5 : 0;
    wake.scaleX = Math.max(0.01, length);
    wake.scaleY = pixels / 60;
    wake.anchorX = 0.95;
  }

  /** The nearest to a point that test takes, within so many metres. */
  nearest(point: Point, metres: number, test: (one: Shown) => boolean): Shown | undefined {
    let found: Shown | undefined;
    let best = metres;
    for (const one of this.shown.values()) {
      const distance = Math.hypot(one.x - point.x, one.y - point.y);
      if (distance < best && !one.leaving && test(one)) {
        best = distance;
        found = one;
      }
    }
    return found;
  }
}
