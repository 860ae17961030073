import { expect, test } from "bun:test";
import type { ShardPurge } from "./purge.ts";
import { Purges } from "./purges.ts";
import { PurgeJournal } from "./storage/purge-journal.ts";
import { withDirectory } from "./storage/test-support.ts";

const ALL = { selectors: [{ by: "all" }], soft: false, dryRun: false } as const;
/** What a shard numbers by itself in between must not come up to the next one. */
const NUMBERS_BETWEEN = 1000;

function purgesOf(journal: PurgeJournal | undefined, filesLeft = 0): { purges: Purges; told: ShardPurge[] } {
  const told: ShardPurge[] = [];
  const purges = new Purges(journal, async (purge) => {
    told.push(purge);
    return [
      { responses: 1, bodyBytes: 10, filesLeft },
      { responses: 2, bodyBytes: 5, filesLeft: 0 },
    ];
  });
  return { purges, told };
}

test("Purges number each purge well above the one before, with a journal and without; a dry run changes nothing", () =>
  withDirectory(async (directory) => {
    for (const journal of [undefined, new PurgeJournal(directory)]) {
      const { purges, told } = purgesOf(journal);
      for (let times = 0; times < 3; times++) expect(await purges.purge(ALL)).toEqual({ responses: 3, bodyBytes: 15 });
      await purges.purge({ ...ALL, dryRun: true });
      const numbers = told.slice(0, 3).map(({ number }) => number);
      expect(numbers[0]).toBeGreaterThan(Date.UTC(2026) * NUMBERS_BETWEEN);
      for (const [index, number] of numbers.slice(1).entries())
        expect(number - numbers[index]!).toBeGreaterThan(NUMBERS_BETWEEN);
      expect(new PurgeJournal(directory).pending.length).toBe(journal === undefined ? 0 : 3);
      await journal?.close();
    }
  }));

test("Purges keep one for the next life when a file could not be removed", () =>
  withDirectory(async (directory) => {
    const journal = new PurgeJournal(directory);
    const { purges } = purgesOf(journal, 1);
    await purges.purge(ALL);
    await journal.close();
    expect(new PurgeJournal(directory).pending).toHaveLength(1);
    const next = new PurgeJournal(directory);
    await purgesOf(next).purges.endPending(() => {});
    await next.close();
    expect(new PurgeJournal(directory).pending).toEqual([]);
  }));
