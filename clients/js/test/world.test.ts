import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CellFrameSchema, Change, compareVersions, geo, World, type UpdateSchema } from "../src/index.js";

type UpdateInit = MessageInitShape<typeof UpdateSchema>;

const v = (handovers: number, epoch: number, sequence: bigint) => ({ handovers, epoch, sequence });

function frame(cell: bigint, from: bigint, sequence: bigint, updates: UpdateInit[], more = {}) {
  const steps = updates.map((value) => ({ is: { case: "update" as const, value } }));
  return create(CellFrameSchema, { cell, epoch: 1, from, sequence, commits: [{ steps, ageUs: 1500 }], ...more });
}

const at = (latitude: number) => ({ position: geo(latitude, 121) });

test("versions are ordered by handovers, epoch, sequence", () => {
  const ordered = [v(0, 1, 9n), v(0, 2, 1n), v(1, 1, 1n), v(1, 1, 2n), v(2, 0, 0n)];
  for (let i = 1; i < ordered.length; i++) assert.ok(compareVersions(ordered[i - 1], ordered[i]) < 0);
  assert.equal(compareVersions(v(1, 2, 3n), v(1, 2, 3n)), 0);
  assert.ok(compareVersions(undefined, v(0, 0, 1n)) < 0);
});

test("listeners hear of an entity once per change, with age and previous", () => {
  const world = new World();
  const heard: string[] = [];
  world.on("update", ({ entity, previous }) => heard.push(`${entity.id} ${entity.ageMs} ${previous?.version.sequence ?? "new"}`));
  world.on("gone", ({ entity, change }) => heard.push(`gone ${entity.id} ${Change[change]}`));
  world.apply(frame(1n, 0n, 5n, [{ entity: 7n, version: v(0, 1, 5n), pose: at(1), change: Change.PRESENT }], { baseline: true }), 10);
  world.apply(frame(1n, 5n, 6n, [{ entity: 7n, version: v(0, 1, 6n), pose: at(2) }]), 20);
  world.apply(frame(1n, 6n, 7n, [{ entity: 7n, version: v(0, 1, 7n), change: Change.REMOVED }]), 30);
  assert.deepEqual(heard, ["7 1.5 new", "7 1.5 5", "gone 7 REMOVED"]);
});

test("an entity that goes to a cell in view is never gone when ENTERED comes first", () => {
  const world = new World();
  let gone = 0;
  world.on("gone", () => gone++);
  world.apply(frame(1n, 0n, 5n, [{ entity: 7n, version: v(0, 1, 5n), pose: at(1), change: Change.PRESENT }], { baseline: true }), 0);
  world.apply(frame(2n, 0n, 5n, [], { baseline: true }), 0);
  world.apply(frame(2n, 5n, 6n, [{ entity: 7n, version: v(0, 1, 6n), pose: at(2), change: Change.ENTERED, kind: "avatar" }]), 1);
  world.apply(frame(1n, 5n, 6n, [{ entity: 7n, version: v(0, 1, 6n), change: Change.LEFT, to: 2n }]), 2);
  assert.equal(gone, 0);
  assert.equal(world.entities.get(7n)?.cell, 2n);
});

test("gaps are told, frames of cells without a baseline are skipped", () => {
  const world = new World();
  assert.equal(world.apply(frame(9n, 3n, 4n, [{ entity: 1n, version: v(0, 1, 4n) }]), 0), true);
  assert.equal(world.entities.size, 0);
  world.apply(frame(9n, 0n, 4n, [], { baseline: true }), 0);
  assert.equal(world.apply(frame(9n, 6n, 7n, []), 0), false);
  assert.equal(world.apply(frame(9n, 6n, 7n, [], { conflated: true }), 0), true);
});

// The cells of one history, told in any interleaving of the cells' frames,
// always end in the same view.
test("random walks between cells end where the history ends", () => {
  let seed = 7;
  const random = (n: number) => Math.floor(((seed = (seed * 16807) % 2147483647) / 2147483647) * n);
  for (let round = 0; round < 300; round++) {
    const cells = [1n, 2n, 3n];
    const queues = new Map(cells.map((c) => [c, [] as ReturnType<typeof frame>[]]));
    const where = new Map<bigint, { cell: bigint; latitude: number } | undefined>([1n, 2n].map((id) => [id, { cell: cells[random(3)]!, latitude: 0 }]));
    for (const cell of cells) {
      const present = [...where].filter(([, w]) => w?.cell === cell);
      const updates = present.map(([entity]) => ({ entity, version: v(0, 1, 1n), pose: at(0), change: Change.PRESENT, kind: "avatar" }));
      queues.get(cell)!.push(frame(cell, 0n, 1n, updates, { baseline: true }));
    }
    const told = new Map(cells.map((c) => [c, 1n]));
    for (let sequence = 2n; sequence < 14n; sequence++) {
      const touched = new Map<bigint, UpdateInit[]>();
      const say = (cell: bigint, update: UpdateInit) => touched.set(cell, [...(touched.get(cell) ?? []), update]);
      for (const [entity, was] of where) {
        if (!was) continue;
        const version = v(0, 1, sequence);
        if (random(15) === 0) {
          say(was.cell, { entity, version, change: Change.REMOVED });
          where.set(entity, undefined);
          continue;
        }
        let cell = was.cell;
        const latitude = Number(sequence);
        for (let hops = random(3); hops > 0; hops--) {
          const next = cells[random(3)]!;
          if (next === cell) continue;
          say(cell, { entity, version, change: Change.LEFT, to: next });
          say(next, { entity, version, change: Change.ENTERED, kind: "avatar", pose: at(latitude) });
          cell = next;
        }
        if (cell === was.cell) say(cell, { entity, version, pose: at(latitude) });
        where.set(entity, { cell, latitude });
      }
      for (const [cell, updates] of touched) {
        queues.get(cell)!.push(frame(cell, told.get(cell)!, sequence, updates));
        told.set(cell, sequence);
      }
    }
    const world = new World();
    for (let left = [...queues.values()].filter((q) => q.length); left.length; left = left.filter((q) => q.length)) {
      assert.ok(world.apply(left[random(left.length)]!.shift()!, 0));
    }
    for (const [entity, is] of where) {
      const seen = world.entities.get(entity);
      assert.equal(seen?.cell, is?.cell, `round ${round}, entity ${entity}`);
      if (is) assert.equal(seen?.pose?.position?.in.case === "geo" && seen.pose.position.in.value.latitude, is.latitude);
    }
  }
});
