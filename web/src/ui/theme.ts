const system = matchMedia("(prefers-color-scheme: dark)");
const key = "starling-theme";

/** Light or dark: the system's choice until somebody chooses here. */
export class Theme {
  #chosen = read();

  constructor(private readonly changed: () => void) {
    system.addEventListener("change", () => this.#apply());
    this.#apply();
  }

  get isDark(): boolean {
    return this.#chosen ? this.#chosen === "dark" : system.matches;
  }

  toggle(): void {
    this.#chosen = this.isDark ? "light" : "dark";
    try {
      localStorage.setItem(key, this.#chosen);
    } catch {
      // Not kept for the next visit then.
    }
    this.#apply();
  }

  #apply(): void {
    document.documentElement.dataset["theme"] = this.isDark ? "dark" : "light";
    this.changed();
  }
}

function read(): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
