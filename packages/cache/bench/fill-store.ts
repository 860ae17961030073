/**
 * Makes a store of many small responses without a cache, for measurements of what a cache makes of it: item N has the tags `tag-(N modulo 100)` and `all-of-them`.
 *
 *   bun packages/cache/bench/fill-store.ts DIR ORIGIN COUNT
 */
import { Fields, freshnessOf, stripeOf, targetHash } from "@proj/protocol";
import { renderHeadBlock } from "../src/head-block.ts";
import { DiskStorage } from "../src/storage/disk-storage.ts";
import { StoreDirectory } from "../src/storage/store-directory.ts";

const [directory = "", origin = "", count = "0"] = process.argv.slice(2);
const BODY_BYTES = 1024;
const TAGS = 100;

using _store = StoreDirectory.open(directory);
const fail = (error: Error | undefined) => {
  throw error;
};
const disk = new DiskStorage({
  directory,
  shard: 0,
  owns: () => true,
  limitBytes: 40 * 2 ** 30,
  nowMs: () => performance.now(),
  onEvict: () => {},
  onFault: fail,
  onMedium: (_, error) => fail(error),
  onBroken: fail,
});
while (disk.listNext());
const startedMs = performance.now();
for (let item = 0; item < Number(count); item++) {
  const target = `/item/${item}`;
  const body = disk.newBody()!;
  body.append(new Uint8Array(BODY_BYTES).fill(item));
  const fields = Fields.from([
    ["Date", new Date().toUTCString()],
    ["Cache-Control", "max-age=360000"],
    ["ETag", `"${item}"`],
    ["Surrogate-Key", `tag-${item % TAGS} all-of-them`],
  ]);
  const nowMs = Date.now();
  disk.store({
    key: origin + target,
    stripe: stripeOf(targetHash(target)),
    variant: { varyNames: [], varyKey: "", byLanguage: undefined },
    status: 200,
    fields,
    headBlock: renderHeadBlock(fields, "ours"),
    freshness: freshnessOf({ status: 200, fields }, nowMs, nowMs),
    tags: [`tag-${item % TAGS}`, "all-of-them"],
    quietUntilMs: 0,
    purgesSeen: 0,
    filledAfter: 0,
    sharedAs: 0,
    body,
    bodyBytes: BODY_BYTES,
  });
  body.release();
}
disk.close();
console.log(`stored in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
