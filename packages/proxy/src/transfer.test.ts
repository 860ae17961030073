import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { NEW_TRANSFER, nextAsk, type Sending, step, type Transfer, type TransferEvent } from "./transfer.ts";

const FIRST = {
  type: "portion",
  bytes: 10,
  last: false,
  open: true,
  replayable: true,
  availableBytes: 10,
  endBytes: 30,
} as const;

function after(...events: TransferEvent[]): Transfer {
  return events.reduce(step, NEW_TRANSFER);
}

describe("step()", () => {
  test("a response in one portion: segment, answer, sent, done", () => {
    const whole = { ...FIRST, last: true, endBytes: 10 };
    expect(after({ type: "segment-taken" }, whole, { type: "sent", bytes: 10, last: true })).toEqual({
      phase: "done",
      outcome: "sent",
    });
  });

  test("a cache that dies before the first portion: from the start; after it: an abort", () => {
    expect(after({ type: "segment-taken" }, { type: "cache-lost" })).toEqual(NEW_TRANSFER);
    expect(after({ type: "segment-taken" }, FIRST, { type: "cache-lost" })).toEqual({
      phase: "done",
      outcome: "aborted",
    });
  });

  test("a stream that ends elsewhere than it said is aborted, never sent as whole", () => {
    const early = { ...FIRST, bytes: 5, last: true };
    expect(after({ type: "segment-taken" }, FIRST, early)).toEqual({ phase: "done", outcome: "aborted" });
    expect(after({ type: "segment-taken" }, FIRST, { ...FIRST, bytes: 20 })).toEqual({
      phase: "done",
      outcome: "aborted",
    });
    expect(after({ type: "segment-taken" }, { ...FIRST, last: true })).toEqual({ phase: "done", outcome: "aborted" });
  });

  test("a client that leaves ends any phase, and what comes home later changes nothing", () => {
    const left = { phase: "done", outcome: "client-left" } as const;
    expect(after({ type: "client-left" })).toEqual(left);
    expect(after({ type: "segment-taken" }, { type: "client-left" }, FIRST)).toEqual(left);
    expect(after({ type: "segment-taken" }, FIRST, { type: "client-left" }, { type: "cache-lost" })).toEqual(left);
  });

  test("an event that a phase can not have is our fault and is thrown", () => {
    expect(() => after(FIRST)).toThrow('Cannot take "portion" in phase "waiting-for-segment"');
  });
});

describe("nextAsk()", () => {
  test("asks ahead only for what the cache is known to have, else for one portion of whatever length", () => {
    const sending = after({ type: "segment-taken" }, { ...FIRST, availableBytes: 25 }) as Sending;
    expect(nextAsk(sending, 100)).toEqual({ firstByte: 10, bytes: 15 });
    const asked = step(sending, { type: "asked", bytes: 15 }) as Sending;
    expect(nextAsk(asked, 100)).toBeUndefined();
    const edge = after({ type: "segment-taken" }, FIRST) as Sending;
    expect(nextAsk(edge, 100)).toEqual({ firstByte: 10, bytes: undefined });
    expect(nextAsk(step(edge, { type: "asked", bytes: undefined }) as Sending, 100)).toBeUndefined();
  });

  test("any stream, any capacity, any growth, parked at any moment: every byte goes out once and in order", () => {
    const seed = Date.now();
    const script = fc.record({
      streamBytes: fc.integer({ min: 0, max: 400 }),
      known: fc.boolean(),
      capacity: fc.integer({ min: 1, max: 120 }),
      choices: fc.array(fc.nat(1000), { minLength: 1, maxLength: 60 }),
    });
    fc.assert(fc.property(script, runStream), { seed, numRuns: 2000 });
  });
});

/** A cache that has `available` bytes of a stream and answers asks in order, driven by a list of choices. */
function runStream({
  streamBytes,
  known,
  capacity,
  choices,
}: {
  streamBytes: number;
  known: boolean;
  capacity: number;
  choices: number[];
}) {
  let turn = 0;
  const choose = (below: number) => choices[turn++ % choices.length]! % below;
  let available = choose(streamBytes + 1);
  const endBytes = known ? streamBytes : undefined;
  const answer = (firstByte: number, bytesMax: number): TransferEvent & { type: "portion" } => {
    const bytes = Math.min(bytesMax, available - firstByte);
    // A cache knows the end of a stream whose length was never said only when all of it has come.
    const last = firstByte + bytes === streamBytes && (known || available === streamBytes);
    return { type: "portion", bytes, last, open: true, replayable: true, availableBytes: available, endBytes };
  };
  if (known && streamBytes === 0) available = 0;
  let transfer = step(NEW_TRANSFER, { type: "segment-taken" });
  const first = answer(0, capacity);
  transfer = step(transfer, first);
  let sent = 0;
  const arrived: { from: number; bytes: number; last: boolean }[] = [{ from: 0, bytes: first.bytes, last: first.last }];
  const asked: { firstByte: number; bytes: number | undefined }[] = [];
  for (let round = 0; round < 5000 && transfer.phase === "sending"; round++) {
    available = Math.min(streamBytes, available + choose(50) + (round > 4000 ? 50 : 0));
    // Only a portion with bytes still to go can stall a client.
    if (round < 200 && choose(12) === 0 && arrived.length > 0 && arrived[0]!.bytes > 0) {
      arrived.length = asked.length = 0;
      transfer = step(transfer, { type: "parked" });
    }
    const next = asked.length + arrived.length < 2 ? nextAsk(transfer as Sending, capacity) : undefined;
    if (next !== undefined) {
      asked.push(next);
      transfer = step(transfer, { type: "asked", bytes: next.bytes });
    }
    const [ask] = asked;
    const ready = ask !== undefined && (ask.firstByte < available || available === streamBytes);
    if (ready && (arrived.length === 0 || choose(2) === 0)) {
      asked.shift();
      const portion = answer(ask.firstByte, ask.bytes ?? capacity);
      if (ask.bytes !== undefined) expect(portion.bytes).toBe(ask.bytes);
      transfer = step(transfer, portion);
      arrived.push({ from: ask.firstByte, bytes: portion.bytes, last: portion.last });
    } else if (arrived.length > 0) {
      const portion = arrived.shift()!;
      expect(portion.from).toBe(sent);
      sent += portion.bytes;
      transfer = step(transfer, { type: "sent", bytes: portion.bytes, last: portion.last });
    }
  }
  expect(transfer).toEqual({ phase: "done", outcome: "sent" });
  expect(sent).toBe(streamBytes);
}
