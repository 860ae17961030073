import { describe, expect, test } from "bun:test";
import { STRIPES, stripeOf, targetHash } from "@proj/protocol";
import { Invalidator } from "./invalidator.ts";
import { type KeyMatch, type KeySelector, keyMatch } from "./key-selector.ts";
import type { SharedSide } from "./shared/shared-side.ts";
import type { PurgeRule } from "./storage/purging.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import type { StoredResponse } from "./stored-response.ts";

const PREFIX = "http://origin.example";
const NOW_MS = 12_345;

/** A shard that holds `/a`, with fills for `/a` and `/b` under way, and what is done to it. */
function harness(hears = false) {
  const versions = new Int32Array(STRIPES);
  const purged: { rule: PurgeRule; keys: readonly string[] | undefined }[] = [];
  const fillsPurged = new Set<string>();
  const told: [KeySelector, boolean][] = [];
  const storage = {
    purgesSeen: 7,
    purge: (rule: PurgeRule, keys: readonly string[] | undefined) => {
      purged.push({ rule, keys });
      return Promise.resolve({ responses: 1, bodyBytes: 5 });
    },
    invalidate: (key: string) => (key === `${PREFIX}/a` ? 1 : 0),
  } as unknown as TieredStorage;
  const shared = {
    hear: () => hears,
    changed: (selector: KeySelector, wasStored: boolean) => void told.push([selector, wasStored]),
  } as unknown as SharedSide;
  const fills = {
    purge: (matches: KeyMatch) => {
      for (const key of [`${PREFIX}/a`, `${PREFIX}/b`]) if (matches(key, ["tag"])) fillsPurged.add(key);
    },
    purgeKey: (key: string) => void fillsPurged.add(key),
  };
  const invalidator = new Invalidator({ storage, shared, fills, versions, nowMs: () => NOW_MS });
  const bumped = () => [...versions.keys()].filter((stripe) => versions[stripe] !== 0);
  return { invalidator, purged, fillsPurged, told, bumped };
}

function keyOf(target: string) {
  return { by: "key", key: PREFIX + target, target } as const;
}

const TAG = { by: "tag", tag: "tag", before: "" } as const;
const PURGE = { soft: false, dryRun: false, number: 8 } as const;
const ALL = Array.from({ length: STRIPES }, (_, stripe) => stripe);

describe("Invalidator.purge()", () => {
  test("of keys: their stripes, and what is under way for them", async () => {
    const { invalidator, purged, fillsPurged, bumped } = harness();
    const count = await invalidator.purge({ ...PURGE, selectors: [keyOf("/a"), keyOf("/c")] });
    expect(count).toEqual({ responses: 1, bodyBytes: 5 });
    expect(purged).toMatchObject([
      { rule: { number: 8, kind: "drop", givenMs: NOW_MS }, keys: [`${PREFIX}/a`, `${PREFIX}/c`] },
    ]);
    expect([...fillsPurged]).toEqual([`${PREFIX}/a`]);
    expect(bumped()).toEqual(
      [...new Set(["/a", "/c"].map((target) => stripeOf(targetHash(target))))].sort((a, b) => a - b),
    );
  });

  test("of anything else: all stripes, since what has been evicted may be of any", () => {
    const { invalidator, purged, fillsPurged, bumped } = harness();
    void invalidator.purge({ ...PURGE, soft: true, selectors: [keyOf("/a"), TAG] });
    expect(purged).toMatchObject([{ rule: { kind: "make-stale" }, keys: undefined }]);
    expect(fillsPurged.size).toBe(2);
    expect(bumped()).toEqual(ALL);
  });

  test("that only counts changes nothing", () => {
    const { invalidator, purged, fillsPurged, bumped } = harness();
    void invalidator.purge({ ...PURGE, dryRun: true, selectors: [TAG] });
    expect(purged).toMatchObject([{ rule: { kind: "dry-run" } }]);
    expect([fillsPurged.size, bumped()]).toEqual([0, []]);
  });

  test("leaves what was filled after it", () => {
    const { invalidator, purged } = harness();
    void invalidator.purge({ ...PURGE, selectors: [TAG], filledBefore: 5 });
    const concerned = (filledAfter: number, tags = ["tag"]) =>
      purged[0]!.rule.concerns({ key: `${PREFIX}/a`, tags, filledAfter } as unknown as StoredResponse);
    expect([concerned(4), concerned(5), concerned(4, ["other"])]).toEqual([true, false, false]);
  });
});

describe("Invalidator.changed()", () => {
  test("takes each target out of use, and tells the other nodes", () => {
    const { invalidator, fillsPurged, told, bumped, purged } = harness();
    invalidator.changed(PREFIX, { targets: ["/a", "/b"], groups: [] });
    expect(told).toEqual([
      [keyOf("/a"), true],
      [keyOf("/b"), false],
    ]);
    expect([...fillsPurged]).toEqual([`${PREFIX}/a`, `${PREFIX}/b`]);
    expect(bumped()).toHaveLength(2);
    expect(purged).toEqual([]);
  });

  test("of a group: of this site's only", () => {
    const { invalidator, told, purged, bumped } = harness();
    invalidator.changed(PREFIX, { targets: [], groups: ["tag"] });
    expect(purged).toMatchObject([{ rule: { number: 8, kind: "drop" } }]);
    const [[selector] = []] = told;
    expect(keyMatch(selector!)(`${PREFIX}/x`, ["tag"])).toBe(true);
    expect(keyMatch(selector!)("http://other.example/x", ["tag"])).toBe(false);
    expect(bumped()).toEqual(ALL);
  });
});

test("Invalidator.hear() stops what is under way where what is stored has become doubtful, and else nothing", () => {
  for (const hears of [true, false]) {
    const { invalidator, fillsPurged, bumped } = harness(hears);
    invalidator.hear({ forgetBefore: 1 });
    expect(fillsPurged.size).toBe(hears ? 2 : 0);
    expect(bumped()).toEqual(hears ? ALL : []);
  }
});
