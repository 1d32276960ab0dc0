import { element } from "./elements";

interface Quantiles {
  count: string;
  p50: number;
  p99: number;
}

/** What the server says of a deployed function; counts are strings, as protobuf's JSON has them. */
interface FunctionStatus {
  name: string;
  shape: string;
  class: string;
  part_of: string;
  contract: { rate: number; deadline_seconds: number; miss_target: number };
  age_seconds: number;
  invocations: string;
  guaranteed: string;
  guaranteed_misses: string;
  refusals: Record<string, string>;
  queue_seconds: Quantiles;
  run_seconds: Quantiles;
  used_gb_s: number;
  reserved_gb_s: number;
  reserved_core_s: number;
}

const refreshMs = 1000;

/** The trigger's functions, in the order in which a record comes to them. */
const ofTrigger = ["TNN_inference", "measure_energy", "select_event", "format_event", "serialise_event", "archive_event", "updateModel", "retrain"];

/** The workloads that share the scheduler: their heads, and whose function a name is. */
const workloads: [string, (name: string) => boolean][] = [
  ["Actions", (name) => !ofTrigger.includes(name) && !name.startsWith("annotate.")],
  ["Trigger", (name) => ofTrigger.includes(name)],
  ["Annotation", (name) => name.startsWith("annotate.")],
];

/** The panel of deployed functions, which asks the server while it is open. */
export class FunctionsPanel {
  /** Where the trigger's records come from; shown above its functions. */
  triggerSource = "";
  readonly #dialog = element<HTMLDialogElement>("functions");
  #before = new Map<string, FunctionStatus>();
  #timer: number | undefined;

  constructor() {
    this.#dialog.addEventListener("close", () => {
      clearInterval(this.#timer);
      element("functions-open").setAttribute("aria-pressed", "false");
    });
  }

  toggle(): void {
    if (this.#dialog.open) {
      this.#dialog.close();
      return;
    }
    this.#dialog.show();
    element("functions-open").setAttribute("aria-pressed", "true");
    this.#before.clear();
    void this.#refresh();
    this.#timer = window.setInterval(() => void this.#refresh(), refreshMs);
  }

  close(): void {
    if (this.#dialog.open) this.#dialog.close();
  }

  async #refresh(): Promise<void> {
    try {
      const reply = await fetch("functions");
      if (!reply.ok) throw new Error(`the server answered ${reply.status}`);
      this.#show(((await reply.json()) as { functions: FunctionStatus[] }).functions);
    } catch (error) {
      element("functions-note").textContent = error instanceof Error ? error.message : String(error);
    }
  }

  #show(functions: FunctionStatus[]): void {
    element("functions-note").textContent = functions.length ? "" : "This process runs no functions.";
    const rows: HTMLTableRowElement[] = [];
    for (const [title, has] of workloads) {
      const within = functions.filter(({ name }) => has(name));
      if (!within.length) continue;
      within.sort((a, b) => ofTrigger.indexOf(a.name) - ofTrigger.indexOf(b.name));
      rows.push(head(title, title === "Trigger" ? this.triggerSource : ""), ...within.map((one) => this.#row(one)));
    }
    element("functions-rows").replaceChildren(...rows);
    this.#before = new Map(functions.map((one) => [one.name, one]));
  }

  #row(one: FunctionStatus): HTMLTableRowElement {
    const row = document.createElement("tr");
    const cell = (text: string, title = ""): HTMLTableCellElement => {
      const made = document.createElement(row.childElementCount ? "td" : "th");
      made.textContent = text;
      made.title = title;
      row.append(made);
      return made;
    };
    const guaranteed = Number(one.guaranteed);
    const missed = guaranteed ? Number(one.guaranteed_misses) / guaranteed : 0;
    cell(one.name, one.part_of ? `part of ${one.part_of}` : `${one.shape}, ${one.class.replace("_", " ")}`);
    cell(contract(one), `${one.shape}, ${one.class.replace("_", " ")}`);
    cell(figure(this.#rate(one, (of) => Number(of.invocations))));
    const share = cell(guaranteed ? `${(100 * missed).toFixed(2)} %` : "–", `of ${guaranteed.toLocaleString("en")} within the guarantee`);
    share.classList.toggle("broken", guaranteed > 0 && missed > one.contract.miss_target);
    cell(figure(this.#rate(one, refused)), Object.entries(one.refusals).map(([why, count]) => `${why.replaceAll("_", " ")}: ${count}`).join("\n"));
    cell(times(one.queue_seconds));
    cell(times(one.run_seconds));
    cell(memory(one.used_gb_s), `memory × run time: ${one.used_gb_s.toPrecision(3)} GB s`);
    cell(memory(one.reserved_gb_s), `reserved memory × time: ${one.reserved_gb_s.toPrecision(3)} GB s`);
    cell(one.reserved_core_s ? Number(one.reserved_core_s.toPrecision(2)).toLocaleString("en") : "–", `reserved cores × time: ${one.reserved_core_s.toPrecision(3)} core s`);
    return row;
  }

  #rate(one: FunctionStatus, count: (of: FunctionStatus) => number): number {
    const was = this.#before.get(one.name);
    const seconds = was ? one.age_seconds - was.age_seconds : 0;
    return was && seconds > 0 ? Math.max(0, count(one) - count(was)) / seconds : 0;
  }
}

/** The row above the functions of a workload, and where its input comes from if that must be told. */
function head(title: string, source: string): HTMLTableRowElement {
  const row = document.createElement("tr");
  row.className = "workload";
  const made = document.createElement("th");
  made.textContent = title;
  made.scope = "rowgroup";
  made.colSpan = 10;
  if (source) {
    const told = document.createElement("small");
    told.textContent = `Records: ${source}.`;
    made.append(told);
  }
  row.append(made);
  return row;
}

function refused(of: FunctionStatus): number {
  return Object.values(of.refusals).reduce((sum, count) => sum + Number(count), 0);
}

function contract({ contract: { rate, deadline_seconds } }: FunctionStatus): string {
  const each = rate ? `${rate.toLocaleString("en")}/s` : "";
  const within = deadline_seconds ? `in ${time(deadline_seconds)}` : "";
  return `${each} ${within}`.trim() || "–";
}

function figure(value: number): string {
  return value < 10 ? value.toFixed(value ? 1 : 0) : Math.round(value).toLocaleString("en");
}

function times({ count, p50, p99 }: Quantiles): string {
  return Number(count) ? `${time(p50)} / ${time(p99)}` : "–";
}

/** A time with two digits. */
function time(seconds: number): string {
  if (!seconds) return "0";
  return scaled(seconds, [["s", 1], ["ms", 1e3], ["µs", 1e6]]) ?? (seconds < 1e-9 ? "< 1 ns" : `${Math.round(seconds * 1e9)} ns`);
}

/** Memory × time with two digits. */
function memory(gigabyteSeconds: number): string {
  if (!gigabyteSeconds) return "–";
  return scaled(gigabyteSeconds, [["GB s", 1], ["MB s", 1e3], ["kB s", 1e6], ["B s", 1e9]]) ?? "< 1 B s";
}

/** A value in the largest unit of which it is one or more. */
function scaled(amount: number, units: [string, number][]): string | undefined {
  for (const [unit, factor] of units) {
    const value = amount * factor;
    if (value >= 1) return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value).toLocaleString("en")} ${unit}`;
  }
  return undefined;
}
