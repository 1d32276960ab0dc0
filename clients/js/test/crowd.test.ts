import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CellFrameSchema, Change, geo, World, type StepSchema } from "../src/index.js";

type StepInit = MessageInitShape<typeof StepSchema>;

const version = (sequence: bigint) => ({ handovers: 0, epoch: 1, sequence });

function state(entity: bigint, sequence: bigint, change: Change): StepInit {
  const pose = { position: geo(Number(sequence) / 1e6, 121) };
  return { is: { case: "update", value: { entity, version: version(sequence), change, pose, kind: "avatar" } } };
}

function frame(sequence: bigint, steps: StepInit[], more = {}) {
  return create(CellFrameSchema, { cell: 1n, epoch: 1, sequence, commits: [{ steps, ageUs: 100 }], ...more });
}

// A gateway tells a crowd by partial frames ahead and a chain of thinned ones:
// nothing goes back, events are told once, and after quiet the view is the world.
test("crowds: partial frames ahead of a thinned chain", () => {
  let seed = 11;
  const random = (n: number) => Math.floor(((seed = (seed * 16807) % 2147483647) / 2147483647) * n);
  for (let round = 0; round < 200; round++) {
    const world = new World();
    const told = new Map<string, number>();
    world.on("event", ({ event }) => told.set(String(event.what.value), (told.get(String(event.what.value)) ?? 0) + 1));
    world.on("update", ({ entity, previous }) => {
      assert.ok(!previous || entity.version.sequence >= previous.version.sequence, `round ${round}: entity ${entity.id} went back`);
    });
    const at = new Map<bigint, bigint>();
    const dirty = new Set<bigint>();
    let [chain, near]: [StepInit[], StepInit[]] = [[], []];
    let [sequence, from] = [0n, 0n];
    const events: string[] = [];
    const partial = () => {
      assert.ok(world.apply(frame(sequence, near, { partial: true }), 0));
      near = [];
    };
    const thin = (later: () => boolean) => {
      for (const entity of [...dirty]) {
        if (later()) continue;
        dirty.delete(entity);
        chain.push(state(entity, at.get(entity)!, Change.PRESENT));
      }
      assert.ok(world.apply(frame(sequence, chain, { from, conflated: true, thinned: dirty.size > 0 }), 0));
      assert.equal(world.cells.get(1n)?.thinned, dirty.size > 0);
      [chain, from] = [[], sequence];
    };
    world.apply(frame(0n, [], { baseline: true }), 0);
    for (let step = 0; step < 60; step++) {
      sequence++;
      const entity = BigInt(1 + random(5));
      let said: StepInit;
      if (random(4) === 0) {
        const text = String(sequence);
        said = { is: { case: "event", value: { actor: entity, number: sequence, version: version(sequence), what: { case: "text", value: text } } } };
        events.push(text);
        chain.push(said);
      } else if (at.has(entity) && random(6) === 0) {
        said = state(entity, sequence, Change.REMOVED);
        at.delete(entity);
        dirty.delete(entity);
        chain.push(said);
      } else {
        said = state(entity, sequence, at.has(entity) ? Change.CHANGED : Change.CREATED);
        at.set(entity, sequence);
        dirty.add(entity);
      }
      if (random(2) === 0) near.push(said);
      if (random(3) === 0) partial();
      if (random(6) === 0) {
        partial();
        thin(() => random(2) === 0);
      }
    }
    partial();
    thin(() => false);
    const seen = new Map([...world.entities.values()].map((e) => [e.id, e.version.sequence]));
    assert.deepEqual([...seen].sort(), [...at].sort(), `round ${round}`);
    for (const text of events) assert.equal(told.get(text), 1, `round ${round}: event ${text}`);
  }
});
