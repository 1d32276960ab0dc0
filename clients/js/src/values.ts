import type { Attributes, Value } from "./gen/api/starling/v1/client_pb.js";

/** An attribute's value in plain TypeScript. Integers are bigint. */
export type AttributeValue = boolean | bigint | number | string | Uint8Array;

type ValueInit = { is: Exclude<Value["is"], { case: undefined }> };

/** The schema's form of a plain value. */
export function toValue(value: AttributeValue): ValueInit {
  switch (typeof value) {
    case "boolean":
      return { is: { case: "flag", value } };
    case "bigint":
      return { is: { case: "integer", value } };
    case "number":
      return { is: { case: "number", value } };
    case "string":
      return { is: { case: "text", value } };
    default:
      return { is: { case: "opaque", value } };
  }
}

/** The schema's form of a set of attributes. */
export function toAttributes(values: Record<string, AttributeValue>): { values: Record<string, ValueInit> } {
  return { values: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toValue(value)])) };
}

/** A set of attributes in plain TypeScript; values of unknown types are left out. */
export function fromAttributes(attributes: Attributes | undefined): ReadonlyMap<string, AttributeValue> {
  const plain = new Map<string, AttributeValue>();
  for (const [name, value] of Object.entries(attributes?.values ?? {})) {
    if (value.is.case !== undefined) plain.set(name, value.is.value);
  }
  return plain;
}
