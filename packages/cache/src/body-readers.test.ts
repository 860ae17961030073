import { expect, jest, test } from "bun:test";
import type { Refusal } from "@proj/protocol";
import fc from "fast-check";
import { BodyReaders, holdingUp } from "./body-readers.ts";
import type { FillHost } from "./fill-host.ts";
import { WindowRoom } from "./storage/window-room.ts";
import type { Transfer } from "./transfer.ts";

test("holdingUp() is those at the mark or before it, as long as another has all that is there, and never that one", () => {
  const position = fc.nat(20);
  fc.assert(
    fc.property(fc.array(position, { maxLength: 6 }), position, fc.nat(20), (positions, at, beyond) => {
      const arrivedBytes = at + 1 + beyond;
      const readers = positions.map((one) => ({ position: Math.min(one, arrivedBytes) }));
      const found = holdingUp(readers, at, arrivedBytes);
      const hasAll = readers.some((reader) => reader.position === arrivedBytes);
      expect(found).toEqual(hasAll ? readers.filter((reader) => reader.position <= at) : []);
      expect(found.some((reader) => reader.position === arrivedBytes)).toBe(false);
    }),
  );
});

const AHEAD_BYTES = new WindowRoom().aheadBytesMax;

/** A body of which `bytes` are there, and readers that are where a test puts them. */
function harness() {
  const body = { bytes: 0, tier: undefined, dropped: 0, dropBefore: (position: number) => (body.dropped = position) };
  const origin = { isPaused: false, pause: () => (origin.isPaused = true), resume: () => (origin.isPaused = false) };
  const refused: [Transfer, Refusal][] = [];
  const host = {
    storage: { windows: new WindowRoom() },
    serve: () => {},
    refuse: (transfer: Transfer, refusal: Refusal) => void refused.push([transfer, refusal]),
  } as unknown as FillHost;
  const readers = new BodyReaders(host, origin, body as unknown as ConstructorParameters<typeof BodyReaders>[2], 0);
  const add = (bodyPosition: number) => {
    const transfer = { bodyPosition } as Transfer & { bodyPosition: number };
    readers.add(transfer);
    return transfer as { bodyPosition: number };
  };
  return { body, origin, refused, readers, add };
}

test("BodyReaders holds the origin up until the slowest is half way to all that is there", () => {
  const { body, origin, readers, add } = harness();
  const [fast, slow] = [add(0), add(0)];
  body.bytes = AHEAD_BYTES + 1;
  readers.control();
  expect(origin.isPaused).toBe(true);
  fast.bodyPosition = body.bytes;
  slow.bodyPosition = AHEAD_BYTES / 2;
  readers.control();
  expect(origin.isPaused).toBe(true);
  expect(body.dropped).toBe(AHEAD_BYTES / 2);
  slow.bodyPosition = AHEAD_BYTES / 2 + 2;
  readers.control();
  expect(origin.isPaused).toBe(false);
  readers.stop();
});

test("BodyReaders cuts off who stands still while another has all, and nobody who moves or is alone", () => {
  jest.useFakeTimers();
  try {
    const { body, origin, refused, readers, add } = harness();
    const still = add(0);
    body.bytes = AHEAD_BYTES + 1;
    readers.control();
    jest.advanceTimersByTime(60_000);
    expect(refused).toEqual([]); // by itself
    const [fast, slow] = [add(body.bytes), add(0)];
    readers.control();
    jest.advanceTimersByTime(4_000);
    slow.bodyPosition = 1; // however little
    jest.advanceTimersByTime(1_000);
    expect(refused).toEqual([[still as Transfer, "cut-short"]]);
    expect(readers.size).toBe(2);
    slow.bodyPosition = fast.bodyPosition;
    readers.control();
    expect(origin.isPaused).toBe(false);
    readers.stop();
    jest.advanceTimersByTime(60_000);
    expect(refused).toHaveLength(1);
  } finally {
    jest.useRealTimers();
  }
});
