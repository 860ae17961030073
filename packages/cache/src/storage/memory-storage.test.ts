/**
 * The memory tier beside a plain map: random responses are stored, replaced, renewed, used, held, invalidated and evicted. What it gives has to be what was
 * stored last, what is held has to stay readable, and the limit has to hold at every moment.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Fields } from "@proj/protocol";
import { renderHeadBlock } from "../head-block.ts";
import type { StoredResponse } from "../stored-response.ts";
import type { BodyStore } from "./body-store.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { bytesOf, NO_EVENTS, put, readAll, responseTo } from "./test-support.ts";

const MIB = 1024 * 1024;
/** For each response of 1,000 bytes: body, key, fields, and all that finds it again. */
const COUNTED_BYTES_MAX = 1_250;
/** With what the allocator has not given back yet, which varies; as objects they would be 4,800. */
const GROWTH_BYTES_MAX = 1_700;

function withoutBody({ body: _, ...rest }: StoredResponse): Omit<StoredResponse, "body"> {
  return rest;
}

describe("MemoryStorage", () => {
  test("gives what was stored last, whatever happens in between", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`memory tier: seed ${seed}`);
    let state = seed | 1;
    const random = (below: number) => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
      return (state >>> 0) % below;
    };
    const limitBytes = 4 * MIB;
    const storage = new MemoryStorage(limitBytes, NO_EVENTS);
    const model = new Map<string, { bytes: Uint8Array<ArrayBuffer>; etag: string }>();
    const held: { body: BodyStore; bytes: Uint8Array<ArrayBuffer> }[] = [];
    const letGo = () => {
      const { body, bytes } = held.splice(random(held.length), 1)[0]!;
      const into = new Uint8Array(bytes.length);
      for (let at = 0; at < into.length; ) at += body.read(at, into.subarray(at));
      expect(into).toEqual(bytes);
      body.release();
    };
    for (let step = 0; step < 30_000; step++) {
      const key = `/${random(3000)}`;
      const what = random(100);
      const [stored] = what < 45 ? [] : storage.lookup(key);
      if (what < 45) {
        const length = random(10) === 0 ? random(40_000) : random(3000);
        const bytes = bytesOf(length, step);
        if (put(storage, key, bytes) === undefined) model.delete(key);
        else model.set(key, { bytes, etag: `"${key.length}-${length}"` });
      } else if (stored === undefined) {
        model.delete(key); // it has been evicted
      } else if (what < 75) {
        expect(readAll(stored.body)).toEqual(model.get(key)!.bytes);
        expect(stored.fields.get("etag")).toBe(model.get(key)!.etag);
        storage.touch(stored, 1);
      } else if (what < 85 && held.length < 50) {
        stored.body.retain();
        held.push({ body: stored.body, bytes: model.get(key)!.bytes });
      } else if (what < 92) {
        const etag = `"${step}"`;
        storage.adopt(stored);
        stored.fields = stored.fields.filter(() => true);
        stored.fields.set("ETag", etag);
        stored.headBlock = renderHeadBlock(stored.fields, "ours");
        storage.renewed(stored);
        model.set(key, { bytes: model.get(key)!.bytes, etag });
      } else {
        expect(storage.invalidate(key)).toBe(1);
        model.delete(key);
      }
      if (held.length > 20) letGo();
      expect(storage.usedBytes).toBeLessThanOrEqual(limitBytes);
    }
    expect(storage.count).toBeGreaterThan(500);
    while (held.length > 0) letGo();
    storage.close();
    expect([storage.count, storage.usedBytes]).toEqual([0, 0]);
  }, 120_000);

  test("a response that was forgotten as an object is made again with all that belongs to it", () => {
    const storage = new MemoryStorage(16 * MIB, NO_EVENTS);
    const key = "http://origin.test/caf\u00e9?\u4e2d";
    const body = storage.newBody(3);
    body.append(Uint8Array.of(1, 2, 3));
    const plain = responseTo(key, body);
    const response: StoredResponse = {
      ...plain,
      variant: { varyNames: ["accept", "cookie"], varyKey: "accept:a\ncookie\0\n", byLanguage: undefined },
      fields: Fields.from([...plain.fields, ["X-Empty", ""], ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]]),
      freshness: { ...plain.freshness, lifetimeMs: 1.5, initialAgeMs: 2 ** 40, basis: "heuristic" },
      purgesSeen: 2 ** 52 + 1,
    };
    const whole = { ...response, headBlock: renderHeadBlock(response.fields, "ours") };
    const before = withoutBody(whole);
    expect(storage.store(whole)).toBe(true);
    body.release();
    for (let index = 0; index < 9000; index++) put(storage, `/${index}`, new Uint8Array(10));
    const [again] = storage.lookup(key);
    expect(again === whole).toBe(false);
    expect(withoutBody(again!)).toEqual(before);
    expect(readAll(again!.body)).toEqual(Uint8Array.of(1, 2, 3));
    // Who had it before it was forgotten has it still, and gets the body that is stored.
    storage.adopt(whole);
    expect(storage.lookup(key)[0]).toBe(whole);
    expect(whole.body).toBe(again!.body);
  });

  test("a body that nobody held can not be read once it has been dropped: no bytes of another one", () => {
    const storage = new MemoryStorage(16 * MIB, NO_EVENTS);
    const { body } = put(storage, "/a", bytesOf(500, 1))!;
    storage.invalidate("/a");
    put(storage, "/b", bytesOf(500, 2));
    expect(() => body.read(0, new Uint8Array(500))).toThrow("dropped");
  });

  test("a hundred thousand small responses take what they are counted with, and no objects", () => {
    // In a process of its own: what other tests leave to the garbage collector is not ours to count.
    const script = join(import.meta.dir, "memory-growth-script.ts");
    const { stdout } = Bun.spawnSync([process.execPath, script], { stderr: "inherit" });
    const { counted, grown } = JSON.parse(stdout.toString()) as { counted: number; grown: number };
    console.log(`counted ${counted.toFixed(0)} bytes each, grown by ${grown.toFixed(0)}`);
    expect(counted).toBeLessThan(COUNTED_BYTES_MAX);
    expect(grown).toBeLessThan(GROWTH_BYTES_MAX);
  }, 60_000);
});
