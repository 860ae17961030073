/**
 * A cache in a few lines, obviously right, beside the real one: random requests, changes at the origin, purges and time. The model knows one thing of each
 * resource: which version is stored, and until when it is fresh. Whatever the shard answers has to be what the model says, and it may
 * ask the origin only where the model has nothing fresh.
 */
import { describe, expect, test } from "bun:test";
import type { OriginClient, OriginExchange, OriginHandler, OriginRequest } from "@proj/origin";
import {
  CACHE_COUNTERS,
  type CacheCounter,
  Counters,
  defaultSite,
  FIRST_PAYLOAD_OFFSET,
  Fields,
  formatHttpDate,
  type PortionAnswer,
  type Refusal,
  type ResponseAnswer,
  STRIPES,
  stripeOf,
  targetHash,
} from "@proj/protocol";
import fc from "fast-check";
import { wantedGet } from "../test/wanted.ts";
import { CacheSites } from "./cache-sites.ts";
import type { Ask, ChannelServer } from "./channel-server.ts";
import { originTimes } from "./origin-times.ts";
import { Shard } from "./shard.ts";
import { MemoryStorage } from "./storage/memory-storage.ts";
import { TieredStorage } from "./storage/tiered-storage.ts";

const TARGETS = ["/a", "/b", "/b?c", "/d/e"] as const;
const SITE = defaultSite(["http://origin.example"]);
const LIFETIME_MS = 10_000;
const BODY_BYTES = 1000;
const MUCH_ROOM = 1024 * 1024;
const START_MS = Date.UTC(2026, 10, 22, 12);
const NO_EXCHANGE: OriginExchange = {
  pause() {},
  resume() {},
  write: () => true,
  endContent() {},
  abort() {},
};

function keyOf(target: string) {
  return { by: "key", key: `http://origin.example${target}`, target } as const;
}

function bodyOf(target: string, version: number): string {
  return `${target} v${version} `.padEnd(BODY_BYTES, String(version));
}

/** An origin that answers at once: validators, single ranges. */
class ModelOrigin {
  readonly versions = new Map<string, number>();
  nowMs = START_MS;
  requests = 0;

  send({ target, fields }: OriginRequest, handler: OriginHandler): OriginExchange {
    this.requests++;
    queueMicrotask(() => this.#answer(target, fields, handler));
    return NO_EXCHANGE;
  }

  #answer(target: string, request: Fields, handler: OriginHandler): void {
    const version = this.versions.get(target) ?? 0;
    const etag = `"${version}"`;
    const pairs: [string, string][] = [
      ["Date", formatHttpDate(this.nowMs)],
      ["Cache-Control", `max-age=${LIFETIME_MS / 1000}`],
      ["ETag", etag],
      ["Cache-Tag", target[1] ?? ""],
    ];
    let body = Buffer.from(bodyOf(target, version));
    let status = request.get("if-none-match") === etag ? 304 : 200;
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.get("range") ?? "") ?? [];
    const ifRange = request.get("if-range");
    if (status === 200 && first !== undefined && (ifRange === undefined || ifRange === etag)) {
      const end = last === "" ? BODY_BYTES : Math.min(BODY_BYTES, Number(last) + 1);
      pairs.push(["Content-Range", `bytes ${first}-${end - 1}/${BODY_BYTES}`]);
      body = body.subarray(Number(first), end);
      status = 206;
    }
    const head = {
      kind: "response",
      status,
      reason: "",
      minorVersion: 1,
      fields: Fields.from(pairs),
      headBytes: 0,
    } as const;
    handler.onHead(head, status === 304 ? { kind: "none" } : { kind: "length", bytes: body.length });
    if (status !== 304) handler.onContent(body);
    handler.onEnd(undefined);
  }
}

/** What came of one ask. */
type Answered = { status: number; body: string; verdict: string } | { refusal: Refusal };

/** The proxy's end: takes answers, keeps nothing. */
class ModelChannel {
  readonly answers = new Map<number, Answered>();

  answer(ask: Ask, portion: PortionAnswer, response?: ResponseAnswer): void {
    const headBytes = response?.headBytes ?? 0;
    const from = FIRST_PAYLOAD_OFFSET + headBytes;
    const body = Buffer.from(ask.bytes.subarray(from, FIRST_PAYLOAD_OFFSET + portion.bytes)).toString("latin1");
    expect(portion.last).toBe(true);
    this.answers.set(ask.transfer, { status: response!.status, body, verdict: response!.verdict });
  }

  refuse(ask: Ask, refusal: Refusal): void {
    this.answers.set(ask.transfer, { refusal });
  }

  notify(): void {}
}

class Harness {
  readonly origin = new ModelOrigin();
  readonly channel = new ModelChannel();
  readonly shard: Shard;
  readonly versions = new Int32Array(STRIPES);
  readonly arrivals = new Int32Array(STRIPES);
  readonly memory: MemoryStorage;
  #transfers = 0;

  constructor(limitBytes: number, owns: (hash: number) => boolean = () => true) {
    const counters = new Counters<CacheCounter>(CACHE_COUNTERS, new Float64Array(CACHE_COUNTERS.length));
    const memory = new MemoryStorage(limitBytes, { onEvict: () => {} });
    this.memory = memory;
    const nowMs = () => this.origin.nowMs;
    this.shard = new Shard({
      storage: new TieredStorage({ memory, disk: undefined }, () => {}, nowMs),
      shared: undefined,
      sites: new CacheSites([SITE], () => this.origin as unknown as OriginClient, nowMs),
      owns,
      versions: this.versions,
      arrivals: this.arrivals,
      counters,
      originTimes: originTimes(() => new Float64Array(96)),
      log: () => {},
      nowMs,
      monotonicMs: nowMs,
    });
    this.shard.connect(this.channel as unknown as ChannelServer);
  }

  async get(target: string, range?: { start: number; end: number }): Promise<Answered & { asked: number }> {
    const transfer = ++this.#transfers;
    const before = this.origin.requests;
    const bytes = new Uint8Array(8192);
    const fieldSection = range === undefined ? "" : `Range: bytes=${range.start}-${range.end - 1}\r\n`;
    const ask: Ask = { transfer, thread: 0, firstByte: 0, bytesMax: bytes.length, bytes };
    this.shard.open(ask, wantedGet(SITE.id, target, fieldSection));
    for (let turn = 0; turn < 20 && !this.channel.answers.has(transfer); turn++) await Promise.resolve();
    const answered = this.channel.answers.get(transfer);
    if (answered === undefined) throw new Error(`No answer to ${target}`);
    return { ...answered, asked: this.origin.requests - before };
  }
}

type Step =
  | { do: "get"; target: string; range: { start: number; end: number } | undefined }
  | { do: "change"; target: string }
  | { do: "pass-time"; ms: number }
  | { do: "purge"; soft: boolean; by: "url" | "tag" | "all"; target: string }
  | { do: "invalidate"; target: string };

const target = fc.constantFrom(...TARGETS);
const range = fc
  .tuple(fc.nat(BODY_BYTES - 1), fc.integer({ min: 1, max: BODY_BYTES }))
  .map(([start, bytes]) => ({ start, end: Math.min(BODY_BYTES, start + bytes) }));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("get" as const), target, range: fc.option(range, { nil: undefined }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("change" as const), target }) },
  {
    weight: 3, // whole seconds, as Date and Age count them
    arbitrary: fc.record({ do: fc.constant("pass-time" as const), ms: fc.nat(15).map((seconds) => seconds * 1000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("purge" as const),
      soft: fc.boolean(),
      by: fc.constantFrom("url", "tag", "all"),
      target,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("invalidate" as const), target }) },
);

/** What the model knows of one resource: the versions that may be answered, since they have been stored and are fresh until then. */
type Model = Map<string, { version: number; freshUntilMs: number; isWhole: boolean }>;

function forget(model: Model, step: Extract<Step, { do: "purge" }>): void {
  for (const one of TARGETS) {
    const isMeant = step.by === "all" || (step.by === "url" ? one === step.target : one[1] === step.target[1]);
    if (isMeant) model.delete(one);
  }
}

/** Numbers of purges. */
let purges = 0;

async function run(steps: readonly Step[], limitBytes: number): Promise<void> {
  const hasRoom = limitBytes >= MUCH_ROOM;
  const harness = new Harness(limitBytes);
  const { origin, shard } = harness;
  const model: Model = new Map();
  for (const one of steps) {
    if (one.do === "pass-time") origin.nowMs += one.ms;
    else if (one.do === "change") origin.versions.set(one.target, (origin.versions.get(one.target) ?? 0) + 1);
    else if (one.do === "invalidate") {
      shard.invalidate({ site: SITE.id, targets: [one.target], groups: [] });
      model.delete(one.target);
    } else if (one.do === "purge") {
      const selector =
        one.by === "url"
          ? keyOf(one.target)
          : one.by === "tag"
            ? { by: "tag" as const, tag: one.target[1] ?? "", before: "" }
            : { by: "all" as const };
      shard.purge({ selectors: [selector], soft: one.soft, dryRun: false, number: ++purges });
      forget(model, one);
    } else {
      const got = await harness.get(one.target, one.range);
      const known = model.get(one.target);
      const current = origin.versions.get(one.target) ?? 0;
      const isFresh = known !== undefined && origin.nowMs < known.freshUntilMs;
      // Nothing fresh: the origin has to be asked, and its answer is the one. Something fresh: that, or, for bytes that are missing, the origin's.
      const allowed = isFresh ? [known.version, ...(got.asked > 0 ? [current] : [])] : [current];
      if (!isFresh) expect(got.asked).toBeGreaterThan(0);
      else if (known.isWhole && hasRoom) expect(got.asked).toBe(0);
      if ("refusal" in got) throw new Error(`${one.target} was refused: ${got.refusal}`);
      const { start, end } = one.range ?? { start: 0, end: BODY_BYTES };
      expect(got.status).toBe(one.range === undefined ? 200 : 206);
      expect(allowed.map((version) => bodyOf(one.target, version).slice(start, end))).toContain(got.body);
      if (got.asked === 0) continue;
      const isWhole = one.range === undefined || known?.isWhole === true;
      model.set(one.target, { version: current, freshUntilMs: origin.nowMs + LIFETIME_MS, isWhole });
    }
  }
}

describe("Shard", () => {
  test.each([
    ["all of it has room", MUCH_ROOM],
    ["room for a few", 12_000],
  ])(
    "answers as the model of a cache does, where %s",
    async (_, limitBytes) => {
      const seed = Date.now() % 2 ** 31;
      process.stdout.write(`seed ${seed}\n`);
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => run(steps, limitBytes)),
        { seed, numRuns: 400 },
      );
    },
    60_000,
  );

  test("a whole response that is fresh is answered without the origin", async () => {
    const harness = new Harness(MUCH_ROOM);
    expect(await harness.get("/a")).toMatchObject({ status: 200, asked: 1, verdict: "uri-miss" });
    harness.origin.versions.set("/a", 1);
    harness.origin.nowMs += LIFETIME_MS - 1000;
    expect(await harness.get("/a")).toMatchObject({ body: bodyOf("/a", 0), asked: 0, verdict: "hit" });
    expect(await harness.get("/a", { start: 5, end: 9 })).toMatchObject({ status: 206, asked: 0 });
    harness.origin.nowMs += 1000;
    expect(await harness.get("/a")).toMatchObject({ body: bodyOf("/a", 1), asked: 1, verdict: "stale" });
  });

  test("a transfer that is under way does not go on with what another request wants (CHECKLIST 57)", async () => {
    const { shard, channel } = new Harness(MUCH_ROOM);
    const [first = "", second = ""] = TARGETS;
    const open = (target: string) => {
      const ask: Ask = { transfer: 1, thread: 0, firstByte: 0, bytesMax: 8192, bytes: new Uint8Array(8192) };
      return shard.open(ask, wantedGet(SITE.id, target));
    };
    expect([open(first), open(second)]).toEqual([true, false]);
    for (let turn = 0; turn < 20 && !channel.answers.has(1); turn++) await Promise.resolve();
    expect(channel.answers.get(1)).toMatchObject({ body: bodyOf(first, 0) });
  });

  test("a purge bumps the stripes of what it concerns, also where nothing is stored any more; a dry run none", () => {
    const { shard, versions } = new Harness(MUCH_ROOM);
    const bumped = () => versions.reduce((count, version) => count + (version > 0 ? 1 : 0), 0);
    shard.purge({ selectors: [{ by: "all" }], soft: false, dryRun: true, number: 0 });
    expect(bumped()).toBe(0);
    shard.purge({ selectors: [keyOf("/a")], soft: false, dryRun: false, number: 1 });
    expect(bumped()).toBe(1);
    expect(versions[stripeOf(targetHash("/a"))]).toBe(1);
    shard.purge({ selectors: [{ by: "tag", tag: "x", before: "" }], soft: true, dryRun: false, number: 2 });
    expect(bumped()).toBe(STRIPES);
  });
});

test("Shard refuses what concerns another shard's key: asked for, kept, invalidated (CHECKLIST 57)", () => {
  const { shard, memory, versions, origin } = new Harness(MUCH_ROOM, (hash) => hash !== targetHash("/others"));
  const ask: Ask = { transfer: 1, thread: 0, firstByte: 0, bytesMax: 8192, bytes: new Uint8Array(8192) };
  const posted = {
    site: SITE.id,
    status: 200,
    requestFieldSection: "",
    fieldSection: "Cache-Control: max-age=60\r\nContent-Location: /others\r\n",
    requestTimeMs: 0,
    responseTimeMs: 0,
    content: new Uint8Array(10),
  };
  expect(shard.open(ask, wantedGet(SITE.id, "/others"))).toBe(false);
  expect(shard.keep({ ...posted, target: "/others" })).toBe(false);
  expect(shard.invalidate({ site: SITE.id, targets: ["/own", "/others"], groups: [] })).toBe(false);
  expect([origin.requests, memory.count, versions.some((version) => version !== 0)]).toEqual([0, 0, false]);
  expect(shard.open(ask, wantedGet(SITE.id, "/own"))).toBe(true);
  expect(
    shard.keep({ ...posted, target: "/own", fieldSection: "Cache-Control: max-age=60\r\nContent-Location: /own\r\n" }),
  ).toBe(true);
  expect(shard.invalidate({ site: SITE.id, targets: ["/own"], groups: [] })).toBe(true);
});

test("Shard.keep() takes no more room for a response to POST than it gives back once that has gone", () => {
  const { shard, memory } = new Harness(1024 * 1024);
  for (let round = 0; round < 3; round++) {
    shard.keep({
      site: SITE.id,
      target: "/posted",
      status: 200,
      requestFieldSection: "",
      fieldSection: "Cache-Control: max-age=60\r\nContent-Location: /posted\r\n",
      requestTimeMs: 0,
      responseTimeMs: 0,
      content: new Uint8Array(1000),
    });
    expect(memory.count).toBe(1);
    shard.invalidate({ site: SITE.id, targets: ["/posted"], groups: [] });
    expect([memory.count, memory.usedBytes]).toEqual([0, 0]);
  }
});
