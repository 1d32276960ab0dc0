import type { FromSocket, ToSocket } from "./worker_socket";

let socket: WebSocket | undefined;

function post(message: FromSocket, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

function open(url: string, protocols: string[]): void {
  socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => post({ kind: "open" });
  socket.onclose = ({ code, reason }) => post({ kind: "close", code, reason });
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    const receivedAt = performance.timeOrigin + performance.now();
    post({ kind: "message", data, receivedAt }, typeof data === "string" ? [] : [data]);
  };
}

self.onmessage = ({ data }: MessageEvent<ToSocket>) => {
  if ("open" in data) open(data.open.url, data.open.protocols);
  else if ("send" in data) socket?.send(data.send);
  else socket?.close(data.close.code, data.close.reason);
};
