import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredResponse } from "../stored-response.ts";
import { BodyFile } from "./body-file.ts";
import { type CopiesTier, DiskCopies } from "./disk-copies.ts";

/** A response that is named by its key, and nothing else. */
function named(key: string): StoredResponse {
  return { key } as StoredResponse;
}

/** A body as somebody reads it, or nobody does. */
function bodyOf(isHeld: boolean): BodyFile & { isDiscarded: boolean } {
  const body = Object.create(BodyFile.prototype);
  Object.defineProperty(body, "isHeld", { value: isHeld });
  return Object.assign(body, { isDiscarded: false, discard: () => (body.isDiscarded = true) });
}

/** A tier whose entries are the slots that a test says, and what was done to them. */
function harness() {
  const slots = new Map<StoredResponse, number>();
  const done: string[] = [];
  let nextSlot = 1;
  const tier: CopiesTier & { isFull: boolean } = {
    isFull: false,
    slotOf: (response) => slots.get(response),
    commit: ({ key }) => {
      if (tier.isFull) return undefined;
      done.push(`commit ${key} to ${nextSlot}`);
      return nextSlot++;
    },
    rewrite: (slot, { key }) => void done.push(`rewrite ${slot} as ${key}`),
    disown: (slot, response) => {
      done.push(`disown ${slot}`);
      slots.delete(response);
    },
    touch: (slot, uses) => void done.push(`touch ${slot} ${uses}`),
    drop: (slot) => {
      done.push(`drop ${slot}`);
      copies.forget(slot);
    },
  };
  const copies = new DiskCopies(tier);
  return { copies, tier, slots, done };
}

describe("DiskCopies", () => {
  test("store() makes a copy, and discards a body that is not taken", () => {
    const { copies, tier, done } = harness();
    expect(copies.store(named("a"), bodyOf(true), 10)).toBe(true);
    expect([copies.has(10), copies.originalOf(1), copies.count]).toEqual([true, 10, 1]);
    tier.isFull = true;
    const refused = bodyOf(true);
    expect(copies.store(named("b"), refused, 11)).toBe(false);
    expect([copies.has(11), refused.isDiscarded]).toEqual([false, true]);
    expect(done).toEqual(["commit a to 1"]);
  });

  test("shadow() keeps the body that somebody reads, until another response owns the entry or it is gone", () => {
    const { copies, slots } = harness();
    const [read, unread] = [named("read"), named("unread")];
    slots.set(read, 5).set(unread, 6);
    const body = bodyOf(true);
    copies.shadow(read, body, 10);
    copies.shadow(unread, bodyOf(false), 11);
    copies.shadow(named("gone"), bodyOf(true), 12);
    expect([copies.bodyAt(5), copies.bodyAt(6), copies.count]).toEqual([body, undefined, 2]);
    copies.uncover(10, () => read);
    expect(copies.bodyAt(5)).toBe(body); // whoever looks it up is to have the same one
    copies.owned(5);
    expect(copies.bodyAt(5)).toBeUndefined();
  });

  test("an outdated copy is written anew once, at the latest before it answers again", () => {
    const { copies, done } = harness();
    for (const original of [10, 11, 12]) copies.store(named(`${original}`), bodyOf(true), original);
    done.length = 0;
    for (const original of [10, 11, 99]) copies.outdate(original);
    expect(copies.firstOutdated).toBe(10);
    copies.renew(10, named("ten"));
    copies.uncover(10, () => named("never"));
    copies.uncover(11, () => named("eleven"));
    copies.uncover(12, () => named("never"));
    expect(done).toEqual(["rewrite 1 as ten", "rewrite 2 as eleven"]);
    expect([copies.firstOutdated, copies.count]).toEqual([undefined, 0]);
  });

  test("what is gone in one tier is no copy any more", () => {
    const { copies, done } = harness();
    copies.store(named("a"), bodyOf(true), 10);
    copies.store(named("b"), bodyOf(true), 11);
    copies.outdate(10);
    copies.outdate(11);
    done.length = 0;
    copies.drop(10); // an original that is not to be used any more
    copies.forget(2); // its copy was evicted
    copies.drop(11);
    copies.touch(11, 3);
    copies.renew(11, named("b"));
    expect(done).toEqual(["drop 1"]);
    expect([copies.has(10), copies.has(11), copies.firstOutdated]).toEqual([false, false, undefined]);
  });

  test("whatever is done, each original has one copy, and each copy its original", () => {
    const step = fc.tuple(fc.constantFrom("store", "uncover", "drop", "forget"), fc.integer({ min: 1, max: 8 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { copies } = harness();
        const slotOf = new Map<number, number>();
        let nextSlot = 1;
        for (const [what, original] of steps) {
          if (what === "store" && !slotOf.has(original)) {
            copies.store(named("a"), bodyOf(true), original);
            slotOf.set(original, nextSlot++);
          } else if (what === "uncover") copies.uncover(original, () => named("a"));
          else if (what === "drop") copies.drop(original);
          else if (what === "forget") copies.forget(slotOf.get(original) ?? 0);
          if (what !== "store") slotOf.delete(original);
          expect(copies.count).toBe(slotOf.size);
          for (const [one, slot] of slotOf) expect(copies.originalOf(slot)).toBe(one);
          for (let one = 1; one <= 8; one++) expect(copies.has(one)).toBe(slotOf.has(one));
        }
      }),
    );
  });
});
