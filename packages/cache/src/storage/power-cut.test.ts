/**
 * A store lives through random storing, replacing, renewing and purging, and the power goes at a random moment, also in the middle of a purge: of what was not forced to
 * the medium anything may be there, in any order. The next life then has to answer with bytes that the origin had, and with nothing that had been purged before.
 */
import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isFresh, targetHash } from "@proj/protocol";
import { type KeySelector, keyMatch } from "../key-selector.ts";
import type { ShardPurge, ShardPurgeCount } from "../purge.ts";
import { Purges } from "../purges.ts";
import { DiskStorage } from "./disk-storage.ts";
import { digestHints } from "./entry-digest.ts";
import type { FileSystem } from "./file-system.ts";
import { FILE_SYSTEM } from "./file-system.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { PowerCutFileSystem } from "./power-cut-file-system.ts";
import { PurgeJournal } from "./purge-journal.ts";
import type { PurgeRule } from "./purging.ts";
import { incomingDirectory } from "./store-directory.ts";
import { bytesOf, KIB, PREFIX, readAll, responseTo, withDirectory } from "./test-support.ts";
import { TieredStorage } from "./tiered-storage.ts";

const { WEBPROXY_TESTS } = process.env;
const LIVES = WEBPROXY_TESTS === "whole" ? 3000 : 40;
const LIVES_MS_MAX = WEBPROXY_TESTS === "whole" ? 1_800_000 : 300_000;
const TARGETS = ["/a/1", "/a/2", "/a/3", "/b/1", "/b/2", "/c"];
/** When what is stored here has been received, and is fresh for ten minutes. */
const NOW_MS = Date.now();

/** Of each target: the last version that has been stored, and up to which a purge has been answered. */
interface Model {
  stored: number;
  purged: number;
  madeStale: number;
}

function bodyOf(target: string, version: number): Uint8Array<ArrayBuffer> {
  return bytesOf(2000 + ((version * 7919) % 90_000), (targetHash(target) % 100) + version);
}

function randomOf(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return (state >>> 0) / 2 ** 32;
  };
}

/** One shard, and what the main thread does for it. */
class Life {
  readonly disk: DiskStorage;
  readonly memory: MemoryStorage;
  readonly storage: TieredStorage;
  readonly journal: PurgeJournal;
  readonly purges: Purges;

  constructor(directory: string, files: FileSystem) {
    this.journal = new PurgeJournal(directory, () => ++clockMs, files);
    this.disk = new DiskStorage({
      directory,
      shard: 0,
      owns: () => true,
      limitBytes: 4096 * KIB,
      nowMs: () => ++clockMs,
      onEvict: () => {},
      onFault: (error) => {
        throw error;
      },
      onMedium: () => {},
      onBroken: () => {},
      files,
    });
    this.memory = new MemoryStorage(1024 * KIB, {
      onEvict: (slot, response) => this.disk.copies.uncover(slot, response),
      onRemove: (slot) => this.disk.copies.drop(slot),
    });
    const tiers = { memory: this.memory, disk: this.disk };
    this.storage = new TieredStorage(tiers, () => {}, performance.now.bind(performance), this.journal.last);
    const begun = new Map(this.journal.pending.map((purge) => [purge.number, this.#purge(purge)]));
    this.purges = new Purges(this.journal, async (purge) => [await (begun.get(purge.number) ?? this.#purge(purge))]);
    while (this.disk.listNext());
  }

  async #purge({ selectors, soft, number }: ShardPurge): Promise<ShardPurgeCount> {
    const [selector] = selectors;
    const matches = keyMatch(selector!);
    const rule: PurgeRule = {
      number,
      kind: soft ? "make-stale" : "drop",
      concerns: ({ key, tags }) => matches(key, tags),
      hints: digestHints(selectors),
      givenMs: Date.now(),
    };
    const count = await this.storage.purge(rule, selector?.by === "key" ? [selector.key] : undefined);
    return { ...count, filesLeft: 0 };
  }
}

let clockMs = 1;

function selectorFor(random: () => number, target: string): KeySelector {
  const selectors: KeySelector[] = [
    { by: "key", key: PREFIX + target, target },
    { by: "prefix", prefix: `${PREFIX}/a/` },
    { by: "pattern", before: PREFIX, path: "", pattern: "/*/1" },
    { by: "tag", tag: "a", before: "" },
    { by: "all" },
  ];
  return selectors[Math.floor(random() * selectors.length)]!;
}

/** The origin has another version of it, which is stored. */
function store(life: Life, tier: MemoryStorage | DiskStorage, target: string, version: number): void {
  const bytes = bodyOf(target, version);
  const body = tier.newBody(bytes.length)!;
  body.append(bytes);
  const response = responseTo(PREFIX + target, body);
  response.freshness = { ...response.freshness, initialAgeMs: 0, responseTimeMs: NOW_MS };
  life.storage.store(tier, response);
  body.release();
}

/** Lives in `directory` until the power goes, and says what the next life may know. */
async function live(directory: string, after: string, random: () => number): Promise<Map<string, Model>> {
  const files = new PowerCutFileSystem(directory, random);
  const life = new Life(directory, files);
  const model = new Map<string, Model>(TARGETS.map((target) => [target, { stored: 0, purged: 0, madeStale: 0 }]));
  for (let steps = 5 + Math.floor(random() * 40); steps > 0; steps--) {
    const target = TARGETS[Math.floor(random() * TARGETS.length)]!;
    const what = random();
    if (what < 0.5) store(life, random() < 0.5 ? life.memory : life.disk, target, ++model.get(target)!.stored);
    else if (what < 0.65) life.storage.writeBehind!.run(5);
    else if (what < 0.72) for (const stored of life.storage.lookup(PREFIX + target)) life.storage.touch(stored);
    else if (what < 0.78) await life.journal.checkpoint();
    else {
      const soft = random() < 0.3;
      const selector = selectorFor(random, target);
      const purged = life.purges.purge({ selectors: [selector], soft, dryRun: false });
      if (steps === 1) {
        // The power goes in the middle of it.
        for (let turn = Math.floor(random() * 8); turn > 0; turn--) await Promise.resolve();
        break;
      }
      await purged;
      const matches = keyMatch(selector);
      for (const [one, known] of model) {
        if (matches(PREFIX + one, ["a", "b"])) known[soft ? "madeStale" : "purged"] = known.stored;
      }
    }
  }
  files.cut(after);
  life.storage.close();
  await life.journal.close().catch(() => {});
  return model;
}

function expectHonest(life: Life, model: Map<string, Model>): number {
  let found = 0;
  for (const [target, { stored, purged, madeStale: stale }] of model) {
    for (const response of life.storage.lookup(PREFIX + target)) {
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = readAll(response.body);
      } catch {
        continue; // a miss: it says so, and it is gone
      }
      let version = stored;
      while (version > 0 && Buffer.compare(bodyOf(target, version), bytes) !== 0) version--;
      expect(version, `${target}: bytes of the origin that had not been purged`).toBeGreaterThan(purged);
      if (version <= stale) expect(isFresh(response.freshness, Date.now()), `${target} version ${version}`).toBe(false);
      found++;
    }
  }
  return found;
}

describe("a store whose power goes", () => {
  test(
    "answers with the old response, the new one, or none; never with one that had been purged",
    async () => {
      const first = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
      console.log(`power cuts: SEED=${first}`);
      let found = 0;
      for (let seed = first; seed < first + LIVES; seed++) {
        await withDirectory(async (directory) => {
          const [before, after] = [join(directory, "before"), join(directory, "after")];
          mkdirSync(after);
          const model = await live(before, after, randomOf(seed));
          rmSync(incomingDirectory(after, 0), { recursive: true, force: true }); // as every start does
          const life = new Life(after, FILE_SYSTEM);
          try {
            expectHonest(life, model);
            await life.purges.endPending(() => {});
            found += expectHonest(life, model);
            expect(life.storage.purgesSeen).toBe(life.journal.last);
            store(life, life.disk, "/c", ++model.get("/c")!.stored);
            expect(life.disk.lookup(`${PREFIX}/c`), "it takes responses again").toHaveLength(1);
          } catch (error) {
            throw new Error(`seed ${seed}`, { cause: error });
          } finally {
            life.storage.close();
            await life.journal.close();
          }
        });
      }
      expect(found).toBeGreaterThan(LIVES / 10);
    },
    LIVES_MS_MAX,
  );
});
