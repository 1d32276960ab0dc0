import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import {
  ClientMessageSchema,
  ServerMessageSchema,
  type ClientMessage,
  type ServerMessage,
} from "./gen/api/starling/v1/client_pb.js";

/** Turns messages into what a websocket carries, and back. */
export interface Codec {
  /** The websocket subprotocol it is for. */
  readonly subprotocol: string;
  encode(message: ClientMessage): string | Uint8Array<ArrayBuffer>;
  /** Throws on what is no message of the protocol. */
  decode(data: string | ArrayBuffer | Uint8Array): ServerMessage;
}

/** Binary protobuf: the smaller and faster one. */
export const protoCodec: Codec = {
  subprotocol: "starling.v1.proto",
  encode: (message) => toBinary(ClientMessageSchema, message) as Uint8Array<ArrayBuffer>,
  decode(data) {
    if (typeof data === "string") throw new Error("text frame on a binary subprotocol");
    return fromBinary(ServerMessageSchema, data instanceof Uint8Array ? data : new Uint8Array(data));
  },
};

const text = new TextDecoder("utf-8", { fatal: true });

/** The same messages through protobuf's JSON mapping: readable in a browser's inspector. */
export const jsonCodec: Codec = {
  subprotocol: "starling.v1.json",
  encode: (message) => toJsonString(ClientMessageSchema, message),
  decode(data) {
    const json = typeof data === "string" ? data : text.decode(data);
    return fromJsonString(ServerMessageSchema, json, { ignoreUnknownFields: true });
  },
};

/** Wraps one kind of client message. */
export function clientMessage(kind: ClientMessage["kind"]): ClientMessage {
  return create(ClientMessageSchema, { kind });
}
