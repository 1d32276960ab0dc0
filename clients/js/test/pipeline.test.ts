import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, OutcomeSchema, Pipeline, QueueFullError, SessionLostError, type ActionFunction } from "../src/index.js";

const speak = (text: string) => ({ case: "speak", value: { what: { case: "text", value: text } } }) as unknown as ActionFunction;
const outcome = (number: bigint, code: Code, more: { retryAfterMs?: number; expected?: bigint } = {}) =>
  create(OutcomeSchema, { number, code, ...more });
const numbers = (p: Pipeline, now: number) => p.due(now).map((a) => a.number);

function opened(options = {}): Pipeline {
  const p = new Pipeline({ random: () => 0.5, ...options });
  p.welcomed(false, 1n, 4);
  return p;
}

test("no more actions are under way than allowed, in order", async () => {
  const p = opened();
  const all = Array.from({ length: 6 }, (_, i) => p.submit(speak(String(i))));
  assert.deepEqual(numbers(p, 0), [1n, 2n, 3n, 4n]);
  assert.deepEqual(numbers(p, 0), []);
  assert.ok(p.outcome(outcome(1n, Code.APPLIED), 1));
  assert.deepEqual(numbers(p, 1), [5n]);
  assert.equal((await all[0]!).code, Code.APPLIED);
});

test("a retryable refusal holds back everything behind it", () => {
  const p = opened();
  void p.submit(speak("a"));
  void p.submit(speak("b"));
  numbers(p, 0);
  p.outcome(outcome(1n, Code.BUSY, { retryAfterMs: 100 }), 0);
  p.outcome(outcome(2n, Code.OUT_OF_ORDER, { expected: 1n }), 1);
  void p.submit(speak("c"));
  assert.deepEqual(numbers(p, 50), []);
  assert.equal(p.nextDue(50), 112.5); // what was asked for, and a random quarter more
  assert.deepEqual(numbers(p, 113), [1n, 2n, 3n]);
});

// Guards against a whole second of waiting for what takes milliseconds, e.g. a
// shard between two owners, and against overruling the gateway's own time.
test("pauses between refusals double up to a quarter of a second, or are what was asked for", () => {
  const p = opened({ random: () => 0 });
  void p.submit(speak("a"));
  let now = 0;
  for (const pause of [5, 10, 20, 40, 80, 160, 250, 250]) {
    assert.deepEqual(numbers(p, now), [1n]);
    p.outcome(outcome(1n, Code.UNAVAILABLE), now);
    assert.equal(p.nextDue(now), now + pause);
    now += pause;
  }
  numbers(p, now);
  p.outcome(outcome(1n, Code.BUSY, { retryAfterMs: 30 }), now);
  assert.equal(p.nextDue(now), now + 30);
});

// An action that got lost on its way shows as OUT_OF_ORDER of the next one.
test("the action that is expected is sent again", () => {
  const p = opened();
  void p.submit(speak("a"));
  void p.submit(speak("b"));
  numbers(p, 0);
  p.outcome(outcome(2n, Code.OUT_OF_ORDER, { expected: 1n }), 5);
  assert.deepEqual(numbers(p, 10), [1n, 2n]);
});

test("after a resume everything unanswered is sent again under its number", () => {
  const p = opened();
  void p.submit(speak("a"));
  void p.submit(speak("b"));
  numbers(p, 0);
  p.outcome(outcome(1n, Code.APPLIED), 1);
  p.disconnected();
  assert.deepEqual(numbers(p, 2), []);
  p.welcomed(true, 2n, 4);
  assert.equal(p.lastFinal, 1n);
  assert.deepEqual(numbers(p, 3), [2n]);
});

test("a new session fails what was sent and keeps what was not", async () => {
  const p = opened({ maxInFlight: 1 });
  p.welcomed(false, 1n, 1);
  const sent = p.submit(speak("sent"));
  void p.submit(speak("waiting"));
  assert.deepEqual(numbers(p, 0), [1n]);
  p.disconnected();
  p.welcomed(false, 7n, 1);
  await assert.rejects(sent, SessionLostError);
  assert.deepEqual(numbers(p, 1), [7n]);
});

test("the queue is bounded", async () => {
  const p = opened({ maxQueued: 2 });
  void p.submit(speak("a"));
  void p.submit(speak("b"));
  await assert.rejects(p.submit(speak("c")), QueueFullError);
});

// Whatever refusals come in whatever order, each action ends once, in order,
// and never more than four are under way.
test("random refusals: every action is applied once, in order", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let round = 0; round < 200; round++) {
    const p = opened({ random });
    const applied: bigint[] = [];
    let last = 0n;
    for (let i = 0; i < 20; i++) p.submit(speak(String(i))).then(() => {}, () => {});
    for (let now = 0; p.pending > 0; now += 5) {
      assert.ok(now < 200_000, "it does not end");
      const acts = p.due(now);
      assert.ok(p.inFlight <= 4);
      for (const { number } of acts) {
        if (number <= last) p.outcome(outcome(number, Code.APPLIED), now);
        else if (number > last + 1n) p.outcome(outcome(number, Code.OUT_OF_ORDER, { expected: last + 1n }), now);
        else if (random() < 0.4) p.outcome(outcome(number, Code.BUSY, { retryAfterMs: 3 }), now);
        else {
          last = number;
          applied.push(number);
          p.outcome(outcome(number, Code.APPLIED), now);
        }
      }
    }
    assert.deepEqual(applied, Array.from({ length: 20 }, (_, i) => BigInt(i + 1)));
  }
});
