import { Code } from "./gen/api/starling/v1/client_pb.js";

/** Says whether an outcome is a refusal for now: the action is sent again under its number. */
export function isRetryable(code: Code): boolean {
  return code >= 200 && code < 300;
}

/** Says whether the action took effect. */
export function isApplied(code: Code): boolean {
  return code >= 1 && code < 100;
}

/** The code's name as in the schema, e.g. "TOO_FAST". */
export function codeName(code: Code): string {
  return Code[code] ?? `CODE_${code}`;
}

/** What a close code asks of a client. */
export interface CloseVerdict {
  /** Connect again. */
  reconnect: boolean;
  /** Wait at least so long before, in milliseconds; undefined: the client's own back-off. */
  afterMs: number | undefined;
  /** The session is gone: open a new one instead of resuming. */
  freshSession: boolean;
}

/**
 * Reads a close code and its reason. 4000-4499 ask to reconnect after the
 * seconds named in the reason ("reconnect in 1.5s: going away"), 4500 and
 * above ask not to. Codes of websocket itself (1000-1015) are breaks of the
 * connection, and reconnect.
 */
export function readClose(code: number, reason: string): CloseVerdict {
  const match = /^reconnect in (\d+(?:\.\d+)?)(ms|s)\b/.exec(reason);
  const afterMs = match ? Number(match[1]) * (match[2] === "s" ? 1000 : 1) : undefined;
  return { reconnect: code < 4500, afterMs, freshSession: code === 4007 };
}
