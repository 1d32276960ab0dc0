import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, geo, local, metresPerDegree, Motion, pose, readClose, ServerClock, Track } from "../src/index.js";

test("close codes say whether and when to come back", () => {
  assert.deepEqual(readClose(4000, "reconnect in 1.5s: going away"), { reconnect: true, afterMs: 1500, freshSession: false });
  assert.deepEqual(readClose(4000, "reconnect in 250ms: x"), { reconnect: true, afterMs: 250, freshSession: false });
  assert.deepEqual(readClose(4007, ""), { reconnect: true, afterMs: undefined, freshSession: true });
  assert.equal(readClose(4500, "").reconnect, false);
  assert.equal(readClose(4999, "").reconnect, false);
  assert.equal(readClose(1006, "").reconnect, true);
});

test("waits double up to the longest, and never undercut what was asked", () => {
  const b = new Backoff({ firstMs: 100, longestMs: 1000 }, () => 1);
  assert.deepEqual([b.next(), b.next(), b.next(), b.next(), b.next(), b.next()], [100, 200, 400, 800, 1000, 1000]);
  b.reset();
  assert.equal(b.next(), 100);
  for (const random of [0, 0.3, 1]) {
    const asked = new Backoff({}, () => random).next(2000);
    assert.ok(asked >= 2000 && asked <= 3000);
  }
  const atOnce = new Backoff({ firstMs: 100 }, () => 1);
  assert.deepEqual([atOnce.next(0), atOnce.next(0)], [0, 200]);
});

test("the clock takes the sample with the shortest round trip", () => {
  const clock = new ServerClock();
  assert.equal(clock.offsetMs, undefined);
  clock.sample(0, 100, 1_000_050_000n);
  clock.sample(200, 204, 1_000_207_000n);
  assert.equal(clock.roundTripMs, 4);
  assert.equal(clock.offsetMs, 1_000_005);
  clock.sample(10, 5, 0n); // a clock that went back
  assert.equal(clock.roundTripMs, 4);
});

test("a motion runs on with its velocity, and stops when nothing comes", () => {
  const m = new Motion({ blendMs: 200, extrapolateMs: 1000 });
  m.update(pose(local(0, 0), { east: 2 }), 0);
  m.show(500);
  assert.ok(Math.abs(m.x - 1) < 1e-9);
  m.show(5000);
  assert.ok(Math.abs(m.x - 2) < 1e-9);
});

// What is shown never jumps when an update corrects it, unless the update is a jump.
test("a correction is smooth, a jump is not", () => {
  const m = new Motion();
  m.update(pose(local(0, 0), { east: 2 }), 0);
  m.show(400);
  const before = m.x;
  m.update(pose(local(0.5, 0), { east: 2 }), 400);
  assert.ok(Math.abs(m.x - before) < 1e-6);
  m.show(700);
  assert.ok(Math.abs(m.x - (0.5 + 2 * 0.3)) < 1e-6);
  m.update(pose(local(500, 0)), 800);
  assert.equal(m.x, 500);
});

test("a motion without velocities goes evenly", () => {
  const m = new Motion();
  m.update(pose(local(0, 0)), 0);
  m.update(pose(local(4, 0)), 1000);
  m.show(1500);
  assert.ok(Math.abs(m.x - 2) < 1e-9);
  assert.ok(Math.abs(m.speed - 4) < 1e-9);
  m.show(2000);
  assert.ok(Math.abs(m.x - 4) < 1e-9);
});

test("a motion over the antimeridian takes the short way", () => {
  const m = new Motion();
  const metre = 1 / metresPerDegree;
  m.update(pose(geo(0, 180 - metre), { east: 4 }), 0);
  m.show(500);
  assert.ok(m.x < -179.9 || m.x > 179.9);
  m.update(pose(geo(0, -180 + metre), { east: 4 }), 500);
  m.show(600);
  assert.ok(Math.abs(m.x) > 179.9);
});

test("a track is read in the past, exactly through its updates", () => {
  const track = new Track();
  assert.equal(track.at(0), undefined);
  track.add(0, pose(local(0, 0), { east: 10 }));
  track.add(100, pose(local(1, 0), { east: 10 }));
  for (const t of [0, 25, 50, 75, 100]) {
    const position = track.at(t)!.position!.in;
    assert.ok(position.case === "local" && Math.abs(position.value.east - t / 100) < 1e-6);
  }
});
