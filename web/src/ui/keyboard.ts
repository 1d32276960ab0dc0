import type { Point } from "../map/projection";

const directions: Record<string, Point> = {
  KeyW: { x: 0, y: 1 },
  ArrowUp: { x: 0, y: 1 },
  KeyS: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: -1 },
  KeyA: { x: -1, y: 0 },
  ArrowLeft: { x: -1, y: 0 },
  KeyD: { x: 1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
};

/** Keys that are held to walk or to move the map, and keys that do something once. */
export class Keyboard {
  #held = new Set<string>();
  #shift = false;

  constructor(private readonly commands: Record<string, () => void>) {
    addEventListener("keydown", (event) => this.#down(event));
    addEventListener("keyup", (event) => {
      this.#held.delete(event.code);
      this.#shift = event.shiftKey;
    });
    addEventListener("blur", () => this.#held.clear());
    addEventListener("focusin", (event) => {
      if (isWriting(event.target)) this.#held.clear();
    });
  }

  /** The direction held, each part -1..1; with Shift it is the map's. */
  get direction(): Point & { map: boolean } {
    let x = 0;
    let y = 0;
    for (const code of this.#held) {
      x += directions[code]!.x;
      y += directions[code]!.y;
    }
    return { x: Math.sign(x), y: Math.sign(y), map: this.#shift };
  }

  #down(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      this.commands["Escape"]?.();
      return;
    }
    if (isWriting(event.target) || document.querySelector("dialog:modal")) return;
    this.#shift = event.shiftKey;
    if (event.code in directions) {
      this.#held.add(event.code);
      event.preventDefault();
      return;
    }
    const onButton = event.target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ");
    const command = this.commands[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!command || onButton || event.repeat) return;
    event.preventDefault();
    command();
  }
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}
