import { element } from "./elements";

const betweenMs = 1200;

/** Tells events to screen readers, no faster than can be followed, and shows what went wrong. */
export class Announcer {
  #last = 0;
  #hide = 0;

  /** Something that others did: dropped when the last one is too recent. */
  overheard(text: string, now: number): void {
    if (now - this.#last >= betweenMs) this.say(text, now);
  }

  say(text: string, now: number): void {
    this.#last = now;
    element("live").textContent = text;
  }

  /** Shows a line for a few seconds, and says it. */
  toast(text: string, now: number): void {
    const toast = element("toast");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(this.#hide);
    this.#hide = window.setTimeout(() => (toast.hidden = true), 4000);
    this.say(text, now);
  }
}
