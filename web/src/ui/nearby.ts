import { isThing, type Shown } from "../map/flock";
import { element, setText } from "./elements";

export interface Neighbour {
  shown: Shown;
  metres: number;
}

const rows = 7;

export function nameOf(one: Shown): string {
  const name = one.entity.attributes.get("name");
  if (typeof name === "string" && name) return name;
  return isThing(one.entity) ? "ball" : `${one.entity.kind || "someone"} ${(one.entity.id % 10_000n).toString()}`;
}

/** The list of those nearby, each a button: touch somebody, grab a thing. */
export class Nearby {
  #list = element("nearby-list");
  #ids: bigint[] = [];

  constructor(private readonly chosen: (id: bigint) => void) {
    for (let i = 0; i < rows; i++) {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.append(...["i", "span", "em"].map((tag) => document.createElement(tag)));
      button.addEventListener("click", () => {
        const id = this.#ids[i];
        if (id !== undefined) this.chosen(id);
      });
      item.append(button);
      this.#list.append(item);
    }
  }

  focus(): void {
    this.#list.querySelector<HTMLButtonElement>("li:not([hidden]) button")?.focus();
  }

  /** Renews the list. While somebody points at it or is in it, rows keep their place. */
  show(neighbours: readonly Neighbour[], inView: number, joined: boolean): void {
    setText("in-view", inView.toLocaleString("en"));
    const byId = new Map(neighbours.map((n) => [n.shown.entity.id, n]));
    const busy = this.#list.matches(":hover, :focus-within");
    const stay = busy ? this.#ids.filter((id) => byId.has(id)) : [];
    const rest = neighbours.map((n) => n.shown.entity.id).filter((id) => !stay.includes(id));
    this.#ids = [...stay, ...rest].slice(0, rows);
    [...this.#list.children].forEach((item, i) => {
      const neighbour = byId.get(this.#ids[i] ?? 0n);
      (item as HTMLElement).hidden = !neighbour;
      if (neighbour) write(item.firstElementChild as HTMLButtonElement, neighbour, joined);
    });
  }
}

function write(button: HTMLButtonElement, { shown, metres }: Neighbour, joined: boolean): void {
  const [mark, name, distance] = button.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
  const thing = isThing(shown.entity);
  mark.className = thing ? "thing" : "";
  if (name.textContent !== nameOf(shown)) name.textContent = nameOf(shown);
  distance.textContent = metres < 10 ? `${metres.toFixed(1)} m` : `${Math.round(metres)} m`;
  const verb = !joined ? "Show" : thing ? "Grab" : "Touch";
  button.setAttribute("aria-label", `${verb} ${name.textContent}, ${distance.textContent}`);
}
