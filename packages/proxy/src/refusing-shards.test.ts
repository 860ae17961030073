import { expect, test } from "bun:test";
import { RefusingShards } from "./refusing-shards.ts";

function setUp() {
  const refused = [5, 0];
  return { refused, shards: new RefusingShards(2, (shard) => refused[shard]!) };
}

test("RefusingShards.isRefused() is what was asked before the shard refused something, and is not answered in a tenth of a second", () => {
  const { refused, shards } = setUp();
  shards.look(1_000);
  expect(shards.isRefused(0, 700, 1_000)).toBeFalse(); // refused before we asked anything
  refused[0]!++;
  shards.look(1_050);
  expect(shards.isRefused(0, 1_000, 1_050)).toBeFalse(); // it may still answer
  shards.look(1_100);
  expect([shards.isRefused(0, 1_000, 1_100), shards.isRefused(1, 1_000, 1_100)]).toEqual([true, false]);
  expect(shards.isRefused(0, 1_060, 1_400)).toBeFalse(); // asked later
});

test("RefusingShards.rest() lasts a second, is over with an answer, and what is news is told once", () => {
  const { shards } = setUp();
  const at = (nowMs: number) => [0, 1].map((shard) => shards.isResting(shard, () => nowMs));
  expect(at(0)).toEqual([false, false]);
  expect([shards.rest(0, 100), shards.rest(0, 150), shards.rest(1, 200)]).toEqual([true, false, false]);
  expect([at(1_149), at(1_150), at(1_200)]).toEqual([
    [true, true],
    [false, true],
    [false, false],
  ]);
  expect([shards.answered(0), shards.answered(0), shards.answered(1), shards.answered(1)]).toEqual([
    false,
    false,
    true,
    false,
  ]);
});
