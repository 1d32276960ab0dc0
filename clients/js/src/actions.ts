import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { AttributesSchema, PositionSchema, PoseSchema, ValueSchema, type Pose, type Position } from "./gen/api/starling/v1/client_pb.js";
import type { AttributeValue } from "./values.js";
import { toAttributes, toValue } from "./values.js";

/** Metres per second east, north and up. */
export interface VectorInit {
  east?: number;
  north?: number;
  up?: number;
}

/** A geographic position: degrees, and metres above the ellipsoid. */
export function geo(latitude: number, longitude: number, altitude = 0): Position {
  return create(PositionSchema, { in: { case: "geo", value: { latitude, longitude, altitude } } });
}

/** A position inside a place: metres east, north and up of its anchor. */
export function local(east: number, north: number, up = 0): Position {
  return create(PositionSchema, { in: { case: "local", value: { east, north, up } } });
}

/** A position with a velocity; at rest without one. */
export function pose(position: Position, velocity?: VectorInit): Pose {
  const init: MessageInitShape<typeof PoseSchema> = { position };
  if (velocity) init.velocity = velocity;
  return create(PoseSchema, init);
}

/** A set of attributes. */
export function attributes(values: Record<string, AttributeValue>) {
  return create(AttributesSchema, toAttributes(values));
}

/** An attribute's value. */
export function value(plain: AttributeValue) {
  return create(ValueSchema, toValue(plain));
}
