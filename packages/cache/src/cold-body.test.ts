/** One shard whose disk has nothing at hand: whoever wants a body from it waits, and nobody else does. */
import { describe, expect, test } from "bun:test";
import type { OriginClient, OriginHandler, OriginRequest } from "@proj/origin";
import {
  CACHE_COUNTERS,
  type CacheCounter,
  Counters,
  defaultSite,
  FIRST_PAYLOAD_OFFSET,
  Fields,
  NEXT_PAYLOAD_OFFSET,
  PAYLOAD_TAIL_BYTES,
  type PortionAnswer,
  type Refusal,
  type ResponseAnswer,
  STRIPES,
} from "@proj/protocol";
import { wantedGet } from "../test/wanted.ts";
import { CacheSites } from "./cache-sites.ts";
import type { Ask, ChannelServer } from "./channel-server.ts";
import { originTimes } from "./origin-times.ts";
import { Shard } from "./shard.ts";
import { DiskStorage } from "./storage/disk-storage.ts";
import { MemoryStorage } from "./storage/memory-storage.ts";
import { SlowFileSystem } from "./storage/slow-file-system.ts";
import { bytesOf, KIB, responseTo, withDirectory } from "./storage/test-support.ts";
import { TieredStorage } from "./storage/tiered-storage.ts";

const SITE = defaultSite(["http://origin.test"]);
const SEGMENT_BYTES = 256 * KIB;
const LIMIT = 64 * 1024 * KIB;
const FROM_ORIGIN = Buffer.from("from the origin");

/** The proxy's end, and the origin's. */
class Rig {
  readonly files = new SlowFileSystem();
  readonly shard: Shard;
  readonly storage: TieredStorage;
  readonly disk: DiskStorage;
  readonly refusals = new Map<number, Refusal>();
  readonly notices: number[] = [];
  readonly broken: Error[] = [];
  /** Of the last response that was answered. */
  headBytes = 0;
  /** What the origin is asked next it answers only when it is told to, with a 304. */
  isAwaited = false;
  notModified: (() => void) | undefined;
  readonly #bodies = new Map<number, Uint8Array[]>();
  readonly #over = new Set<number>();
  #transfers = 0;

  constructor(directory: string, memoryBytes = 0) {
    const counters = new Counters<CacheCounter>(CACHE_COUNTERS, new Float64Array(CACHE_COUNTERS.length));
    const nowMs = () => performance.now();
    this.disk = new DiskStorage({
      directory,
      shard: 0,
      owns: () => true,
      limitBytes: LIMIT,
      nowMs,
      files: this.files,
      onEvict: () => {},
      onFault: () => {},
      onMedium: () => {},
      onBroken: (error) => void this.broken.push(error),
    });
    while (this.disk.listNext());
    const events = { onEvict: () => {}, onRemove: (slot: number) => this.disk.copies.drop(slot) };
    const memory = memoryBytes > 0 ? new MemoryStorage(memoryBytes, events, undefined, false) : undefined;
    this.storage = new TieredStorage({ memory, disk: this.disk }, () => {}, nowMs);
    this.shard = new Shard({
      storage: this.storage,
      shared: undefined,
      sites: new CacheSites([SITE], () => this as unknown as OriginClient, nowMs),
      owns: () => true,
      versions: new Int32Array(STRIPES),
      arrivals: new Int32Array(STRIPES),
      counters,
      originTimes: originTimes(() => new Float64Array(96)),
      log: () => {},
      nowMs: () => Date.UTC(2026, 10, 22, 12),
      monotonicMs: nowMs,
    });
    this.shard.connect(this as unknown as ChannelServer);
  }

  put(target: string, bytes: Uint8Array): void {
    const body = this.disk.newBody()!;
    body.append(bytes);
    expect(this.disk.store(responseTo(`http://origin.test${target}`, body))).toBe(true);
    body.release();
  }

  get(target: string, fieldSection = ""): number {
    const transfer = ++this.#transfers;
    this.#bodies.set(transfer, []);
    this.shard.open(this.#ask(transfer, 0), wantedGet(SITE.id, target, fieldSection));
    return transfer;
  }

  /** Asks for what the stream has from there on, as the proxy does ahead of what it has, and after a notice. */
  askFor(transfer: number, firstByte: number): void {
    this.shard.read(this.#ask(transfer, firstByte));
  }

  /** The body bytes of a transfer's portions, as they were answered. */
  portionsOf(transfer: number): readonly Uint8Array[] {
    return this.#bodies.get(transfer)!;
  }

  /** What the client of a transfer has got when all of it is out; undefined before. */
  bodyOf(transfer: number): Uint8Array | undefined {
    return this.#over.has(transfer) ? Buffer.concat(this.#bodies.get(transfer)!) : undefined;
  }

  #ask(transfer: number, firstByte: number): Ask {
    return { transfer, thread: 0, firstByte, bytesMax: SEGMENT_BYTES, bytes: new Uint8Array(SEGMENT_BYTES) };
  }

  // -- ChannelServer

  answer({ transfer, firstByte, bytes }: Ask, portion: PortionAnswer, response?: ResponseAnswer): void {
    const from = firstByte === 0 ? FIRST_PAYLOAD_OFFSET : NEXT_PAYLOAD_OFFSET;
    if (response !== undefined) this.headBytes = response.headBytes;
    this.#bodies.get(transfer)!.push(bytes.slice(from + (response?.headBytes ?? 0), from + portion.bytes));
    if (portion.last) this.#over.add(transfer);
    else queueMicrotask(() => this.shard.read(this.#ask(transfer, firstByte + portion.bytes)));
  }

  refuse({ transfer }: Ask, refusal: Refusal): void {
    this.refusals.set(transfer, refusal);
  }

  notify(transfer: number): void {
    this.notices.push(transfer);
  }

  // -- OriginClient

  send(_: OriginRequest, handler: OriginHandler) {
    const exchange = { pause() {}, resume() {}, write: () => true, endContent() {}, abort() {} };
    if (this.isAwaited) {
      this.isAwaited = false;
      this.notModified = () => {
        const fields = Fields.from([["Cache-Control", "max-age=100"]]);
        const head = { kind: "response", status: 304, reason: "", minorVersion: 1, fields, headBytes: 0 } as const;
        handler.onHead(head, { kind: "none" });
        handler.onEnd(undefined);
      };
      return exchange;
    }
    queueMicrotask(() => {
      const head = {
        kind: "response",
        status: 200,
        reason: "",
        minorVersion: 1,
        fields: Fields.from([["Cache-Control", "max-age=100"]]),
        headBytes: 0,
      } as const;
      handler.onHead(head, { kind: "length", bytes: FROM_ORIGIN.length });
      handler.onContent(FROM_ORIGIN);
      handler.onEnd(undefined);
    });
    return exchange;
  }
}

async function eventually(rig: Rig, isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    if (tries > 1000) throw new Error("It waits for ever");
    if (!(await rig.files.end())) await Bun.sleep(1);
  }
}

describe("a shard whose disk is slow", () => {
  test("gives out every byte of a large body, and of its ranges, to all who ask at once", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      const bytes = bytesOf(3_000_001, 1);
      rig.put("/large", bytes);
      const whole = [1, 2, 3].map(() => rig.get("/large"));
      const range = rig.get("/large", "Range: bytes=123456-1234567\r\n");
      const ranges = rig.get("/large", "Range: bytes=0-9, 70000-400000, 2999990-\r\n");
      await eventually(rig, () => [...whole, range, ranges].every((one) => rig.bodyOf(one) !== undefined));
      for (const one of whole) expect(Buffer.compare(rig.bodyOf(one)!, bytes)).toBe(0);
      expect(Buffer.compare(rig.bodyOf(range)!, bytes.subarray(123_456, 1_234_568))).toBe(0);
      expect(Buffer.from(rig.bodyOf(ranges)!).includes(bytes.subarray(70_000, 400_001))).toBe(true);
    }));

  test("answers others meanwhile, and tells the proxy when what it was told to wait for is there", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory, LIMIT);
      rig.put("/large", bytesOf(1_000_000, 1));
      const large = rig.get("/large");
      const other = rig.get("/other");
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      expect(rig.bodyOf(other)).toEqual(FROM_ORIGIN);
      while (!rig.refusals.has(large)) await Bun.sleep(5);
      expect([rig.refusals.get(large), rig.notices]).toEqual(["pending", []]);
      await rig.files.end();
      expect(rig.notices).toEqual([large]);
      rig.askFor(large, 0);
      await eventually(rig, () => rig.bodyOf(large) !== undefined);
      expect(Buffer.compare(rig.bodyOf(large)!, bytesOf(1_000_000, 1))).toBe(0);
    }));

  test("never tells the proxy to wait for a later portion: the one behind it has been asked for, and would come in its place", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      const bytes = bytesOf(1_000_000, 1);
      rig.put("/large", bytes);
      const large = rig.get("/large"); // the second portion is asked for as soon as the first is there
      await rig.files.end();
      const later = SEGMENT_BYTES - NEXT_PAYLOAD_OFFSET - PAYLOAD_TAIL_BYTES;
      rig.askFor(large, rig.portionsOf(large)[0]!.length + rig.headBytes + later);
      await Bun.sleep(100); // four times as long as who waits for an origin is kept
      expect([rig.refusals.size, rig.portionsOf(large).length]).toEqual([0, 1]);
      await eventually(rig, () => rig.portionsOf(large).length >= 3);
      const [first, second, third] = rig.portionsOf(large);
      const joined = Buffer.concat([first!, second!, third!]);
      expect(Buffer.compare(joined, bytes.subarray(0, joined.length))).toBe(0);
      expect(second!.length).toBe(later); // as much as was planned: the third begins behind that
    }));

  test("does not wait for the metadata either: answers others meanwhile, and decides when it is there", () =>
    withDirectory(async (directory) => {
      new Rig(directory).put("/a", bytesOf(5000, 1));
      const rig = new Rig(directory, LIMIT);
      rig.files.opensSlowly = true;
      const clients = [rig.get("/a"), rig.get("/a")];
      const other = rig.get("/other");
      rig.shard.close(rig.get("/a"));
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      expect([rig.bodyOf(other), rig.files.reading]).toEqual([FROM_ORIGIN, 1]);
      while (!clients.every((client) => rig.refusals.get(client) === "pending")) await Bun.sleep(5);
      for (let read = 0; read < 2; read++) await rig.files.end();
      expect(rig.notices).toEqual(clients);
      for (const client of clients) rig.askFor(client, 0);
      await eventually(rig, () => clients.every((client) => rig.bodyOf(client) !== undefined));
      for (const client of clients) expect(rig.bodyOf(client)).toEqual(Buffer.from(bytesOf(5000, 1)));
    }));

  test("asks the origin for what was purged while its metadata was read", () =>
    withDirectory(async (directory) => {
      new Rig(directory).put("/a", bytesOf(5000, 1));
      const rig = new Rig(directory);
      rig.files.opensSlowly = true;
      const before = rig.get("/a");
      await rig.files.end();
      rig.shard.invalidate({ site: SITE.id, targets: ["/a"], groups: [] });
      const after = rig.get("/a");
      await eventually(rig, () => rig.bodyOf(before) !== undefined && rig.bodyOf(after) !== undefined);
      expect([rig.bodyOf(before), rig.bodyOf(after)]).toEqual([FROM_ORIGIN, FROM_ORIGIN]);
    }));

  test("goes on with the version that a client began with when that is purged, and asks the origin for the next", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      const bytes = bytesOf(1_000_000, 1);
      rig.put("/a", bytes);
      const before = rig.get("/a");
      await rig.files.end();
      rig.shard.invalidate({ site: SITE.id, targets: ["/a"], groups: [] });
      const after = rig.get("/a");
      await eventually(rig, () => rig.bodyOf(before) !== undefined && rig.bodyOf(after) !== undefined);
      expect(Buffer.compare(rig.bodyOf(before)!, bytes)).toBe(0);
      expect(rig.bodyOf(after)).toEqual(FROM_ORIGIN);
    }));

  test("lets go of the body of a client that has left, and of all when the proxy is gone", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      rig.put("/a", bytesOf(1_000_000, 1));
      const { body } = rig.disk.lookup("http://origin.test/a")[0]!;
      rig.shard.close(rig.get("/a"));
      rig.get("/a");
      rig.shard.forgetAll();
      expect(body.isHeld).toBe(true);
      while (await rig.files.end());
      expect(body.isHeld).toBe(false);
    }));

  test("has a body from the origin that turns out to be damaged before anything of it has gone out", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      rig.put("/a", bytesOf(1_000_000, 1));
      rig.files.failure = Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
      const transfer = rig.get("/a");
      await eventually(rig, () => rig.bodyOf(transfer) !== undefined);
      expect(rig.bodyOf(transfer)).toEqual(FROM_ORIGIN);
      expect(rig.broken).toHaveLength(1);
    }));

  test("asks the origin, once, for what it can not read just now, and keeps it", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      rig.put("/a", bytesOf(1_000_000, 1));
      rig.files.failure = Object.assign(new Error("ENOMEM: no memory"), { code: "ENOMEM" });
      const transfer = rig.get("/a");
      await eventually(rig, () => rig.bodyOf(transfer) !== undefined);
      expect(rig.bodyOf(transfer)).toEqual(FROM_ORIGIN);
      expect(rig.broken).toEqual([]);
    }));

  test("takes what has been let go of while the origin validated it for gone, not for damaged, and gets it anew", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      rig.put("/a", bytesOf(100_000, 1));
      rig.isAwaited = true;
      const transfer = rig.get("/a", "Cache-Control: no-cache\r\n");
      expect(rig.disk.evict()).toBe(true);
      rig.notModified!();
      await eventually(rig, () => rig.bodyOf(transfer) !== undefined);
      expect(rig.broken).toEqual([]);
      expect(rig.bodyOf(transfer)).toEqual(FROM_ORIGIN);
    }));

  test("cuts short who has a part of a body that is damaged further on", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory);
      rig.put("/a", bytesOf(1_000_000, 1));
      const transfer = rig.get("/a");
      await rig.files.end();
      rig.files.failure = Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
      await eventually(rig, () => rig.refusals.get(transfer) === "cut-short");
      expect(rig.broken).toHaveLength(1);
    }));

  test("brings what is used into memory, behind those who wait for it", () =>
    withDirectory(async (directory) => {
      const rig = new Rig(directory, LIMIT);
      const bytes = bytesOf(200_000, 1);
      rig.put("/a", bytes);
      const transfer = rig.get("/a");
      await eventually(rig, () => rig.bodyOf(transfer) !== undefined);
      const isInMemory = () => rig.storage.tierOf(rig.storage.lookup("http://origin.test/a")[0]!) === "memory";
      await eventually(rig, () => {
        rig.storage.moveBodies(1);
        return isInMemory();
      });
      const again = rig.get("/a");
      await eventually(rig, () => rig.bodyOf(again) !== undefined);
      expect(Buffer.compare(rig.bodyOf(transfer)!, bytes)).toBe(0);
      expect(Buffer.compare(rig.bodyOf(again)!, bytes)).toBe(0);
    }));
});
