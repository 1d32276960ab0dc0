import { codeName, geo, isApplied, pose, type Client, type Outcome } from "@starling-vr/client";
import { isThing, type Flock, type Shown } from "./map/flock";
import type { Point, Projection } from "./map/projection";
import { nameOf } from "./ui/nearby";

/** How far the page looks for somebody to touch, in metres; the server judges reach. */
const searchMetres = 40;

/** What a participant can do besides walking. */
export class Participant {
  constructor(
    private readonly client: Client,
    private readonly flock: Flock,
    private readonly projection: Projection,
    private readonly at: () => Point,
    private readonly tell: (text: string) => void,
  ) {}

  speak(text: string): void {
    this.#do("speak", this.client.speak(text));
  }

  touch(target: Shown | undefined = this.#nearest((one) => !this.#held(one))): void {
    if (!target) return this.tell("Nobody is near");
    this.#do(`touch ${nameOf(target)}`, this.client.touch(target.entity));
  }

  grabOrDrop(target?: Shown): void {
    const held = this.held();
    if (held) this.#do(`drop ${nameOf(held)}`, this.client.release(held.entity.id), `You dropped ${nameOf(held)}`);
    else this.grab(target);
  }

  grab(target: Shown | undefined = this.#nearest((one) => isThing(one.entity) && one.entity.holder === 0n)): void {
    if (!target) return this.tell("No thing is near that is free");
    this.#do(`grab ${nameOf(target)}`, this.client.grab(target.entity), `You hold ${nameOf(target)}`);
  }

  spawn(): void {
    const { latitude, longitude } = this.projection.position(this.at());
    this.#do("put a ball here", this.client.spawn("thing", pose(geo(latitude, longitude)), { name: "ball" }), "You put a ball down");
  }

  /** What the participant holds. */
  held(): Shown | undefined {
    for (const one of this.flock.shown.values()) if (this.#held(one)) return one;
    return undefined;
  }

  #held(one: Shown): boolean {
    return one.entity.holder !== 0n && one.entity.holder === this.client.avatar && !one.leaving;
  }

  #nearest(test: (one: Shown) => boolean): Shown | undefined {
    return this.flock.nearest(this.at(), searchMetres, (one) => one.entity.id !== this.client.avatar && test(one));
  }

  #do(what: string, outcome: Promise<Outcome>, done?: string): void {
    outcome.then(
      ({ code, message }) => {
        if (!isApplied(code)) this.tell(`Could not ${what}: ${message || codeName(code).toLowerCase().replaceAll("_", " ")}`);
        else if (done) this.tell(done);
      },
      (error: Error) => this.tell(`Could not ${what}: ${error.message}`),
    );
  }
}
