import type { Camera } from "./camera";
import type { Point } from "./projection";

interface Bubble {
  element: HTMLElement;
  until: number;
}

const mostBubbles = 24;

/** Speech above heads, and names: text of the page itself, laid over the map. */
export class Bubbles {
  #bubbles = new Map<bigint, Bubble>();
  #names = new Map<bigint, HTMLElement>();

  constructor(private readonly overlay: HTMLElement) {}

  say(id: bigint, text: string, own: boolean, now: number): void {
    this.#bubbles.get(id)?.element.remove();
    this.#bubbles.delete(id);
    if (this.#bubbles.size >= mostBubbles) {
      const [oldest] = this.#bubbles.keys();
      this.#remove(oldest!);
    }
    const element = document.createElement("div");
    element.className = own ? "bubble own" : "bubble";
    const inner = document.createElement("p");
    inner.textContent = text;
    element.append(inner);
    this.overlay.append(element);
    this.#bubbles.set(id, { element, until: now + 3500 + Math.min(5000, text.length * 60) });
  }

  /** Shows exactly these names. */
  names(wanted: ReadonlyMap<bigint, string>): void {
    for (const [id, element] of this.#names) {
      if (wanted.has(id)) continue;
      element.remove();
      this.#names.delete(id);
    }
    for (const [id, text] of wanted) {
      let element = this.#names.get(id);
      if (!element) {
        element = document.createElement("div");
        element.className = "name";
        element.hidden = true; // until its place is known
        this.overlay.append(element);
        this.#names.set(id, element);
      }
      if (element.textContent !== text) element.textContent = text;
    }
  }

  step(now: number, camera: Camera, where: (id: bigint) => Point | undefined): void {
    for (const [id, { element, until }] of this.#bubbles) {
      const point = where(id);
      if (!point || now > until) {
        this.#remove(id);
        continue;
      }
      element.classList.toggle("fading", now > until - 400);
      place(element, camera, point, -18);
    }
    for (const [id, element] of this.#names) {
      const point = where(id);
      element.hidden = !point;
      if (point) place(element, camera, point, 16);
    }
  }

  #remove(id: bigint): void {
    this.#bubbles.get(id)?.element.remove();
    this.#bubbles.delete(id);
  }
}

function place(element: HTMLElement, camera: Camera, point: Point, below: number): void {
  const x = camera.screenX(point.x).toFixed(1);
  const y = (camera.screenY(point.y) + below).toFixed(1);
  element.style.transform = `translate(${x}px, ${y}px)`;
}
