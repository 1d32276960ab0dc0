import type { Version } from "./gen/api/starling/v1/client_pb.js";

/** The parts of a version that order it. */
export type VersionLike = Pick<Version, "handovers" | "epoch" | "sequence">;

const zero: VersionLike = { handovers: 0, epoch: 0, sequence: 0n };

/** Orders versions by (handovers, epoch, sequence): below 0 when a is older than b. */
export function compareVersions(a: VersionLike = zero, b: VersionLike = zero): number {
  if (a.handovers !== b.handovers) return a.handovers - b.handovers;
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  return a.sequence < b.sequence ? -1 : a.sequence > b.sequence ? 1 : 0;
}
