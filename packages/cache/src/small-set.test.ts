import { expect, test } from "bun:test";
import fc from "fast-check";
import { SmallSet } from "./small-set.ts";

const MEMBERS = Array.from({ length: 4 }, (_, id) => ({ id }));

test("SmallSet is what Set is, whatever is done with it", () => {
  const seed = Date.now() | 0;
  console.log(`small sets: seed ${seed}`);
  const step = fc.tuple(fc.constantFrom("add", "delete", "clear", "take"), fc.constantFrom(...MEMBERS));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const small = new SmallSet<{ id: number }>();
      const set = new Set<{ id: number }>();
      for (const [what, member] of steps) {
        if (what === "add") {
          small.add(member);
          set.add(member);
        } else if (what === "delete") expect(small.delete(member)).toBe(set.delete(member));
        else {
          if (what === "clear") small.clear();
          else expect(small.take()).toEqual([...set]);
          set.clear();
        }
        expect(small.list()).toEqual([...set]);
        expect(small.size).toBe(set.size);
        for (const one of MEMBERS) expect(small.has(one)).toBe(set.has(one));
      }
    }),
    { seed, numRuns: 500 },
  );
});

test("SmallSet.list() is not changed by what comes and goes afterwards", () => {
  const set = new SmallSet<{ id: number }>();
  for (const member of MEMBERS) {
    set.add(member);
    const before = set.list();
    const length = before.length;
    set.delete(member);
    expect(before).toHaveLength(length);
    set.add(member);
  }
});
