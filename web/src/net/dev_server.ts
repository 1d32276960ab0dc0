/** What the server says of itself. */
export interface Info {
  center: { latitude: number; longitude: number };
  cell_resolution: number;
  deadline_us: number;
  crowd: number;
  store: string;
  /** Where the trigger's records come from, if there is one. */
  trigger?: string;
}

/** Asks where the crowd is. Throws if this is not the dev server. */
export async function readInfo(): Promise<Info> {
  const reply = await fetch("dev/info");
  if (!reply.ok) throw new Error(`dev/info answered ${reply.status}`);
  return (await reply.json()) as Info;
}

/** Gets a token for a participant with this name. */
export async function fetchToken(name: string): Promise<string> {
  const reply = await fetch("dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name }),
  });
  if (!reply.ok) throw new Error(`dev/token answered ${reply.status}`);
  return ((await reply.json()) as { token: string }).token;
}

/** The websocket of the server that this page came from. */
export function socketUrl(): string {
  const url = new URL("v1/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
