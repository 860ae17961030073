/**
 * Bodies that pass through and are not kept, many at once, against an origin that brings any number of bytes wherever it is read. Whatever came before: as long as a client reads, it gets its whole
 * body and is never left waiting for an origin that is paused; and when all have left, nothing of any window is left.
 */
import { expect, jest, test } from "bun:test";
import type { OriginClient, OriginExchange, OriginHandler, OriginRequest } from "@proj/origin";
import {
  CACHE_COUNTERS,
  type CacheCounter,
  Counters,
  defaultSite,
  FIRST_PAYLOAD_OFFSET,
  Fields,
  type Framing,
  NEXT_PAYLOAD_OFFSET,
  type PortionAnswer,
  type Refusal,
  type ResponseAnswer,
  STRIPES,
} from "@proj/protocol";
import fc from "fast-check";
import { wantedGet } from "../test/wanted.ts";
import { CacheSites } from "./cache-sites.ts";
import type { Ask, ChannelServer } from "./channel-server.ts";
import { originTimes } from "./origin-times.ts";
import { Shard } from "./shard.ts";
import { MemoryStorage } from "./storage/memory-storage.ts";
import { TieredStorage } from "./storage/tiered-storage.ts";

const SITE = defaultSite(["http://origin.example"]);
const KIB = 1024;
const BODY_BYTES = 1536 * KIB + 7;
const SEGMENT_BYTES = 160 * KIB;
const RANGE_START = 300_001;
const NOW_MS = Date.UTC(2026, 10, 22, 12);
const BODY = new Uint8Array(BODY_BYTES).map((_, index) => (index * 31 + (index >> 9)) % 251);

/** One exchange with the origin: what it brings is brought by the test. */
class Exchange implements OriginExchange {
  isPaused = false;
  isOver = false;
  sentBytes = 0;
  readonly #handler: OriginHandler;

  constructor(handler: OriginHandler) {
    this.#handler = handler;
  }

  begin(framing: Framing, cacheControl: string): void {
    const fields = Fields.from([["Cache-Control", cacheControl]]);
    const head = { kind: "response", status: 200, reason: "", minorVersion: 1, fields, headBytes: 0 } as const;
    if (!this.isOver) this.#handler.onHead(head, framing);
  }

  get mayBring(): boolean {
    return !this.isPaused && !this.isOver;
  }

  bring(bytes: number): void {
    const chunk = BODY.slice(this.sentBytes, this.sentBytes + bytes);
    this.sentBytes += chunk.length;
    this.#handler.onContent(chunk);
    if (this.sentBytes < BODY_BYTES || this.isOver) return;
    this.isOver = true;
    this.#handler.onEnd(undefined);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  abort(): void {
    this.isOver = true;
  }

  write(): boolean {
    return true;
  }

  endContent(): void {}
}

const KINDS = ["length", "chunked", "range", "getfile", "getfile-chunked", "outgrows"] as const;
type Kind = (typeof KINDS)[number];

/** One client, and the proxy's end of its transfer: one ask at a time, for as much as is there. */
class Reader {
  position = 0;
  bodyBytes = 0;
  isWrong = false;
  isDone = false;
  hasLeft = false;
  isAsking = false;
  refusal: Refusal | undefined;
  readonly transfer: number;
  /** Where in the body its part begins. */
  from = 0;

  constructor(transfer: number) {
    this.transfer = transfer;
  }

  took(bytes: Uint8Array, { last }: PortionAnswer): void {
    const start = this.from + this.bodyBytes;
    this.isWrong ||= Buffer.compare(bytes, BODY.subarray(start, start + bytes.length)) !== 0;
    this.bodyBytes += bytes.length;
    this.isDone = last;
  }
}

class Harness {
  readonly exchanges: Exchange[] = [];
  readonly readers = new Map<number, Reader>();
  readonly storage: TieredStorage;
  readonly shard: Shard;

  constructor() {
    const memory = new MemoryStorage(512 * KIB, { onEvict: () => {} });
    const nowMs = () => NOW_MS;
    this.storage = new TieredStorage({ memory, disk: undefined }, () => {}, nowMs);
    this.shard = new Shard({
      storage: this.storage,
      shared: undefined,
      sites: new CacheSites([SITE], () => this as unknown as OriginClient, nowMs),
      owns: () => true,
      versions: new Int32Array(STRIPES),
      arrivals: new Int32Array(STRIPES),
      counters: new Counters<CacheCounter>(CACHE_COUNTERS, new Float64Array(CACHE_COUNTERS.length)),
      originTimes: originTimes(() => new Float64Array(96)),
      log: () => {},
      nowMs,
      monotonicMs: nowMs, // no ask is told `pending`
    });
    this.shard.connect(this as unknown as ChannelServer);
  }

  send({ target }: OriginRequest, handler: OriginHandler): OriginExchange {
    const exchange = new Exchange(handler);
    this.exchanges.push(exchange);
    const isKnown = !/chunked|outgrows/.test(target);
    const cacheControl = target.includes("outgrows") ? "max-age=600" : "no-store";
    queueMicrotask(() =>
      exchange.begin(isKnown ? { kind: "length", bytes: BODY_BYTES } : { kind: "chunked" }, cacheControl),
    );
    return exchange;
  }

  open(kind: Kind): void {
    const transfer = this.readers.size + 1;
    const reader = new Reader(transfer);
    this.readers.set(transfer, reader);
    reader.isAsking = true;
    this.shard.open(askFor(reader), {
      ...wantedGet(SITE.id, `/${kind}`, kind === "range" ? `Range: bytes=${RANGE_START}-\r\n` : ""),
      wire: kind.startsWith("getfile") ? "getfile" : "http",
    });
  }

  ask(reader: Reader): void {
    if (reader.isAsking || reader.isDone) return;
    reader.isAsking = true;
    this.shard.read(askFor(reader));
  }

  leave(reader: Reader): void {
    reader.hasLeft = true;
    reader.isDone = true;
    this.shard.close(reader.transfer);
  }

  answer(ask: Ask, portion: PortionAnswer, response?: ResponseAnswer): void {
    const reader = this.readers.get(ask.transfer)!;
    reader.isAsking = false;
    const offset = ask.firstByte === 0 ? FIRST_PAYLOAD_OFFSET : NEXT_PAYLOAD_OFFSET;
    const headBytes = response?.headBytes ?? 0;
    if (response?.status === 206) reader.from = RANGE_START;
    reader.position = ask.firstByte + portion.bytes;
    reader.took(ask.bytes.subarray(offset + headBytes, offset + portion.bytes), portion);
    if (portion.last && portion.open) queueMicrotask(() => this.shard.close(ask.transfer));
  }

  refuse(ask: Ask, refusal: Refusal): void {
    Object.assign(this.readers.get(ask.transfer)!, { isAsking: false, isDone: true, refusal });
  }

  notify(): void {}
}

function askFor({ transfer, position }: Reader): Ask {
  const bytes = new Uint8Array(SEGMENT_BYTES);
  return { transfer, thread: 0, firstByte: position, bytesMax: SEGMENT_BYTES, bytes };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("open" as const), kind: fc.constantFrom(...KINDS) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("bring" as const),
      which: fc.nat(1000),
      bytes: fc.integer({ min: 1, max: 512 * KIB }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("ask" as const), which: fc.nat(1000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(1000) }) },
);

/** Beside those of the steps: they take their first portion and no more. */
const STUCK = [0, 6, 40] as const;

test("Fill pauses the origin for nobody who reads on, and leaves nothing of a window behind", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...STUCK),
      fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
      fc.boolean(),
      async (stuckCount, steps, leaveFirst) => {
        const harness = new Harness();
        const { windows } = harness.storage;
        for (let count = 0; count < stuckCount; count++) harness.open("length");
        await settle();
        const stuck = [...harness.readers.values()];
        for (let turn = 0; turn < 6; turn++) {
          for (const exchange of harness.exchanges) if (exchange.mayBring) exchange.bring(100 * KIB);
          await settle();
        }
        const readers = () => [...harness.readers.values()].slice(stuckCount);
        const one = <Value>(values: readonly Value[], which: number): Value | undefined =>
          values[which % values.length];
        for (const step of steps) {
          if (step.do === "open") harness.open(step.kind);
          else if (step.do === "bring") {
            one(
              harness.exchanges.filter(({ mayBring }) => mayBring),
              step.which,
            )?.bring(step.bytes);
          } else {
            const reader = one(
              readers().filter(({ isDone }) => !isDone),
              step.which,
            );
            if (reader !== undefined) harness[step.do](reader);
          }
          await settle();
        }
        if (leaveFirst) for (const reader of stuck) harness.leave(reader);
        // From here on all others read.
        const movedBytes = () =>
          harness.exchanges.reduce((sum, { sentBytes }) => sum + sentBytes, 0) +
          readers().reduce((sum, { position }) => sum + position, 0);
        for (let before = -1; readers().some(({ isDone }) => !isDone); ) {
          const now = movedBytes();
          if (now === before) throw new Error("A client waits for an origin that is paused");
          before = now;
          for (const reader of readers()) harness.ask(reader);
          await settle();
          for (const exchange of harness.exchanges) if (exchange.mayBring) exchange.bring(50 * KIB);
          await settle();
        }
        for (const { from, bodyBytes, isWrong, refusal, hasLeft } of readers()) {
          expect(isWrong).toBe(false);
          if (refusal === undefined && !hasLeft) expect(from + bodyBytes).toBe(BODY_BYTES);
        }
        if (!leaveFirst) for (const reader of stuck) harness.leave(reader);
        await settle();
        expect(windows.usedBytes).toBe(0);
      },
    ),
    { numRuns: 40 },
  );
});

test("Fill cuts off who stands still, wherever that is, while others have all that is there and the origin is held back", async () => {
  jest.useFakeTimers();
  try {
    const harness = new Harness();
    harness.open("outgrows");
    harness.open("outgrows");
    await settle();
    const [exchange] = harness.exchanges;
    const [reading, still] = [...harness.readers.values()];
    const readOn = async () => {
      for (let turn = 0; turn < 40; turn++) {
        if (exchange!.mayBring) exchange!.bring(50 * KIB);
        harness.ask(reading!);
        await settle();
      }
    };
    await readOn();
    expect(exchange!.isPaused).toBe(true);
    harness.ask(still!); // more than half of what may be ahead still is: the origin stays held back
    await settle();
    expect(exchange!.isPaused).toBe(true);
    for (let times = 0; times < 3; times++) jest.advanceTimersByTime(5_000);
    await readOn();
    expect(reading).toMatchObject({ isDone: true, isWrong: false, bodyBytes: BODY_BYTES });
    harness.ask(still!);
    await settle();
    expect(still!.refusal).toBe("cut-short");
    expect(harness.exchanges.length).toBe(1);
  } finally {
    jest.useRealTimers();
  }
});

test("Fill does not go on for nobody with a body that outgrew the tiers", async () => {
  const harness = new Harness();
  harness.open("outgrows");
  await settle();
  const [exchange] = harness.exchanges;
  exchange!.bring(KIB);
  await settle();
  harness.leave(harness.readers.get(1)!);
  expect(exchange!.isOver).toBe(false); // it may still be kept
  while (exchange!.mayBring) exchange!.bring(50 * KIB);
  expect(exchange!.sentBytes).toBeLessThan(BODY_BYTES);
  expect(harness.storage.windows.usedBytes).toBe(0);
});
