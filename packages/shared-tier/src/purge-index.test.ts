import { describe, expect, test } from "bun:test";
import { PurgeIndex } from "./purge-index.ts";

const never = () => false;

describe("PurgeIndex", () => {
  test("knows of each target, tag, prefix and of all the last purge", () => {
    const index = new PurgeIndex();
    index.add({ by: "key", key: "/a", target: "/a" }, never, 5);
    index.add({ by: "tag", tag: "red", before: "" }, never, 6);
    index.add({ by: "prefix", prefix: "/p/" }, (key: string) => key.startsWith("/p/"), 7);
    expect([index.concerns("/a", [], 4), index.concerns("/a", [], 5), index.concerns("/b", [], 0)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([index.concerns("/b", ["blue", "red"], 5), index.concerns("/b", ["red"], 6)]).toEqual([true, false]);
    expect([index.concerns("/p/1", [], 6), index.concerns("/p/1", [], 7), index.concerns("/q", [], 6)]).toEqual([
      true,
      false,
      false,
    ]);
    index.add({ by: "all" }, never, 8);
    expect([index.concerns("/z", [], 7), index.concerns("/z", [], 8)]).toEqual([true, false]);
  });

  test("what it had to forget counts as a purge of all", () => {
    const index = new PurgeIndex();
    for (let sequence = 1; sequence <= 65_536; sequence++)
      index.add({ by: "key", key: `/${sequence}`, target: "" }, never, sequence);
    expect(index.concerns("/other", [], 0)).toBe(false);
    index.add({ by: "key", key: "/one more", target: "" }, never, 65_537);
    expect([index.concerns("/other", [], 0), index.concerns("/other", [], 1)]).toEqual([true, false]);
    const general = new PurgeIndex();
    for (let sequence = 1; sequence <= 513; sequence++) general.add({ by: "prefix", prefix: "/x" }, never, sequence);
    expect([general.concerns("/other", [], 0), general.concerns("/other", [], 1)]).toEqual([true, false]);
  });
});
