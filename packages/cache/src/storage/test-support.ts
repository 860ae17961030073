import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fields, freshnessOf, stripeOf, targetHash } from "@proj/protocol";
import { renderHeadBlock } from "../head-block.ts";
import type { StoredResponse } from "../stored-response.ts";
import type { BodyStore } from "./body-store.ts";
import { DiskStorage, type DiskStorageOptions } from "./disk-storage.ts";
import { targetOf } from "./key-target.ts";
import type { Storage } from "./storage.ts";

export const KIB = 1024;
export const NO_EVENTS = { onEvict: () => {} };
/** What stands before the target in the keys of these tests. */
export const PREFIX = "http://origin.test";

export function bytesOf(length: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed + (index >> 9)) % 251);
}

/** A disk tier that knows all that is in its directory. What it tells of is an error, unless the test says otherwise. */
export function openDisk(
  directory: string,
  options: Partial<DiskStorageOptions> & { limitBytes: number },
): DiskStorage {
  const fail = (error: Error | undefined) => {
    throw error;
  };
  const disk = new DiskStorage({
    directory,
    shard: 0,
    owns: () => true,
    nowMs: () => performance.now(),
    onEvict: () => {},
    onFault: fail,
    onMedium: (_, error) => fail(error),
    onBroken: fail,
    ...options,
  });
  while (disk.listNext());
  return disk;
}

export function responseTo(key: string, body: BodyStore, varyKey = ""): StoredResponse {
  const fields = Fields.from([
    ["Date", "Sun, 22 Nov 2026 12:00:00 GMT"],
    ["Cache-Control", "max-age=600"],
    ["ETag", `"${key.length}-${body.bytes}"`],
    ["X-Odd", "caf\u00e9 \u00ff"],
  ]);
  const receivedMs = Date.UTC(2026, 10, 22, 12);
  return {
    key,
    stripe: stripeOf(targetHash(targetOf(key))),
    variant: { varyNames: varyKey === "" ? [] : ["accept"], varyKey, byLanguage: undefined },
    status: 200,
    fields,
    headBlock: renderHeadBlock(fields, "ours"),
    freshness: freshnessOf({ status: 200, fields }, receivedMs, receivedMs),
    tags: ["a", "b"],
    quietUntilMs: 0,
    purgesSeen: 0,
    filledAfter: 0,
    sharedAs: 0,
    body,
    bodyBytes: body.bytes,
  };
}

/** Stores `bytes` under `key`; undefined when the tier does not take it. */
export function put(storage: Storage, key: string, bytes: Uint8Array, varyKey = ""): StoredResponse | undefined {
  const body = storage.newBody(bytes.length);
  if (body === undefined) return undefined;
  let isTaken = true;
  for (let at = 0; isTaken && at < bytes.length; at += 7000) isTaken = body.append(bytes.subarray(at, at + 7000));
  const response = responseTo(key, body, varyKey);
  if (!isTaken) body.discard();
  const stored = isTaken && storage.store(response);
  body.release();
  return stored ? response : undefined;
}

/** All that a tier holds. */
export function responsesIn(storage: Storage): StoredResponse[] {
  const slots = Array.from({ length: storage.slotsEnd }, (_, slot) => slot);
  return slots.map((slot) => storage.responseAt(slot)).filter((response) => response !== undefined);
}

export function readAll(body: BodyStore): Uint8Array<ArrayBuffer> {
  const into = new Uint8Array(body.bytes);
  body.retain();
  try {
    for (let at = 0; at < into.length; ) at += body.read(at, into.subarray(at, at + 10_000));
  } finally {
    body.release();
  }
  return into;
}

/** Also for a `use` that is asynchronous: the directory stays until its promise has settled. */
export function withDirectory<T>(use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "webproxy-storage-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  let result: T;
  try {
    result = use(directory);
  } catch (error) {
    remove();
    throw error;
  }
  if (result instanceof Promise) return result.finally(remove) as T;
  remove();
  return result;
}
