import { describe, expect, test } from "bun:test";
import type { StoredResponse } from "../stored-response.ts";
import { KnownResponses } from "./known-responses.ts";

const MAX = 200;
/** As many as are kept of those that were wanted once. */
const ONCE = 64;

function response(isHeld = false): StoredResponse {
  return { body: { isHeld } } as unknown as StoredResponse;
}

/** Adds responses to so many slots from `first` on, each wanted once. */
function wantOnce(known: KnownResponses, first: number, count: number): void {
  for (let slot = first; slot < first + count; slot++) known.add(slot, response());
}

describe("KnownResponses", () => {
  test("keeps what was wanted again, and lets soon go of what was wanted once, however many that are", () => {
    const known = new KnownResponses(MAX);
    const again = response();
    known.add(1, again);
    expect(known.get(1)).toBe(again);
    wantOnce(known, 100, 1_000);
    expect(known.peek(1)).toBe(again);
    const left = Array.from({ length: 1_000 }, (_, index) => known.peek(100 + index)).filter(
      (one) => one !== undefined,
    );
    expect(left).toHaveLength(ONCE);
    expect([known.peek(1_099 - ONCE), known.peek(1_100 - ONCE)].map((one) => one !== undefined)).toEqual([false, true]);
  });

  test("keeps so many at most, those wanted last", () => {
    const known = new KnownResponses(MAX);
    for (let slot = 0; slot < MAX + 10; slot++) {
      known.add(slot, response());
      known.get(slot);
    }
    const isKnown = (slot: number) => known.peek(slot) !== undefined;
    expect([0, 9, 10, MAX + 9].map(isKnown)).toEqual([false, false, true, true]);
    const small = new KnownResponses(3);
    wantOnce(small, 0, 10);
    expect([6, 7, 8, 9].map((slot) => small.peek(slot) !== undefined)).toEqual([false, true, true, true]);
  });

  test("lets go of none whose body somebody holds: there is no second object for its entry", () => {
    const known = new KnownResponses(MAX);
    const held = { body: { isHeld: true } };
    known.add(1, held as unknown as StoredResponse);
    wantOnce(known, 100, 1_000);
    expect(known.get(1)).toBe(held as unknown as StoredResponse);
    for (let slot = 100; slot < 1_000; slot++) {
      known.add(slot, response());
      known.get(slot);
    }
    expect(known.peek(1)).toBe(held as unknown as StoredResponse);
    held.body.isHeld = false;
    for (let slot = 2_000; slot < 3_000; slot++) {
      known.add(slot, response());
      known.get(slot);
    }
    expect(known.peek(1)).toBeUndefined();
  });

  test("another object takes the place of the one that stood for a slot, and delete() forgets either kind", () => {
    const known = new KnownResponses(MAX);
    known.add(1, response());
    known.get(1);
    const other = response();
    known.add(1, other);
    expect(known.peek(1)).toBe(other);
    known.delete(1);
    expect(known.get(1)).toBeUndefined();
    known.add(2, other);
    known.get(2);
    known.delete(2);
    expect(known.peek(2)).toBeUndefined();
  });
});
