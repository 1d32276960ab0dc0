/** What the client needs of a websocket: the standard interface's events and methods. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount?: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => Socket;

/** A message as it arrives. A socket that lives on another thread says when it came there. */
export interface SocketMessage {
  data: string | ArrayBuffer | Uint8Array;
  /** Milliseconds of the Scheduler's clock; absent: now. */
  receivedAt?: number;
}

export interface SocketClose {
  code: number;
  reason: string;
}
