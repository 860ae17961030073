/**
 * Many requests at once against one shard, in any order that a network can bring: clients ask and leave, the origin answers heads and bodies when it
 * likes, changes what it says about caching, fails; operators purge. Each response of the origin is numbered, so that whatever a client gets can
 * be traced to the exchange that brought it, and to the 304s that spoke for it since; a few rules, each a sentence of RFC 9111, then say whether he may have
 * got it. Prints its seed; fast-check shrinks what breaks a rule to the shortest story.
 */
import { expect, test } from "bun:test";
import {
  type OriginClient,
  OriginError,
  type OriginExchange,
  type OriginHandler,
  type OriginRequest,
} from "@proj/origin";
import {
  CACHE_COUNTERS,
  type CacheCounter,
  Counters,
  defaultSite,
  FIRST_PAYLOAD_OFFSET,
  Fields,
  formatHttpDate,
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
const TARGETS = ["/a", "/b"] as const;
const START_MS = Date.UTC(2026, 10, 27, 12);
const LIFETIME_SECONDS = 10;

/** What the origin says about the caching of a target from now on. */
const POLICIES = {
  fresh: `max-age=${LIFETIME_SECONDS}`,
  /** And it depends on X-V. */
  varies: `max-age=${LIFETIME_SECONDS}`,
  "no-cache": `max-age=${LIFETIME_SECONDS}, no-cache`,
  stale: "max-age=0, must-revalidate",
  private: `max-age=${LIFETIME_SECONDS}, private`,
  "no-store": "no-store",
} as const;
type Policy = keyof typeof POLICIES;

/** One exchange with the origin. Times are steps of the story, and the clock. */
interface Exchange {
  readonly id: number;
  readonly request: OriginRequest;
  readonly handler: OriginHandler;
  readonly client: string;
  readonly sentAt: number;
  state: "asked" | "begun" | "over";
  /** When its body was there. */
  endedAt: number;
  head?: { at: number; ms: number; status: number; policy: Policy; version: number };
}

/** One client's request and what came of it. */
interface Wanted {
  readonly client: string;
  readonly target: string;
  readonly headers: string;
  readonly askedAt: number;
  got: string;
  head: ResponseAnswer | undefined;
  refusal: Refusal | undefined;
  isDone: boolean;
  doneAt: number;
}

class Story {
  nowMs = START_MS;
  at = 0;
  purges = 0;
  readonly exchanges: Exchange[] = [];
  readonly wanted = new Map<number, Wanted>();
  /** Step at which a target was purged last. */
  readonly purgedAt = new Map<string, number>();
  readonly policies = new Map<string, Policy>();
  readonly versions = new Map<string, number>();
  readonly shard: Shard;
  readonly #reads: number[] = [];

  constructor() {
    const counters = new Counters<CacheCounter>(CACHE_COUNTERS, new Float64Array(CACHE_COUNTERS.length));
    const memory = new MemoryStorage(1024 * 1024, { onEvict: () => {} });
    const nowMs = () => this.nowMs;
    const origin = { send: this.#send.bind(this) } as unknown as OriginClient;
    this.shard = new Shard({
      storage: new TieredStorage({ memory, disk: undefined }, () => {}, nowMs),
      shared: undefined,
      sites: new CacheSites([SITE], () => origin, nowMs),
      owns: () => true,
      versions: new Int32Array(STRIPES),
      arrivals: new Int32Array(STRIPES),
      counters,
      originTimes: originTimes(() => new Float64Array(96)),
      log: () => {},
      nowMs,
      monotonicMs: nowMs,
    });
    this.shard.connect({
      answer: this.#answer.bind(this),
      refuse: this.#refuse.bind(this),
      notify: (transfer: number) => void this.#reads.push(transfer),
    } as unknown as ChannelServer);
  }

  ask(target: string, headers: string): void {
    const transfer = this.wanted.size + 1;
    const client = `c${transfer}`;
    const fieldSection = `X-Client: ${client}\r\n${headers}`;
    const fresh = { got: "", head: undefined, refusal: undefined, isDone: false, doneAt: 0 };
    this.wanted.set(transfer, { client, target, headers, askedAt: this.at, ...fresh });
    this.shard.open(askOf(transfer, 0), wantedGet(SITE.id, target, fieldSection));
  }

  /** All that can happen without the origin, happens. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 30; turn++) {
      await Promise.resolve();
      for (const transfer of this.#reads.splice(0)) this.#readOn(transfer);
    }
  }

  headOf(exchange: Exchange): void {
    const { request, handler } = exchange;
    const { target } = request;
    const version = this.versions.get(target) ?? 0;
    const policy = this.policies.get(target) ?? "fresh";
    const etag = `"${version}"`;
    const isForOne = policy === "private" || policy === "no-store";
    const isKnown = request.fields.get("if-none-match")?.includes(etag) === true;
    const status = isKnown ? 304 : 200;
    exchange.head = { at: this.at, ms: this.nowMs, status, policy, version };
    exchange.state = status === 304 ? "over" : "begun";
    const fields = Fields.from([
      ["Date", formatHttpDate(this.nowMs)],
      ["Cache-Control", POLICIES[policy]],
      ...(policy === "varies" ? ([["Vary", "X-V"]] as [string, string][]) : []),
      ...(isForOne && !isKnown ? [] : ([["ETag", etag]] as [string, string][])),
    ]);
    const head = { kind: "response", status, reason: "", minorVersion: 1, fields, headBytes: 0 } as const;
    handler.onHead(head, isKnown ? { kind: "none" } : { kind: "length", bytes: bodyOf(exchange.id).length });
    if (isKnown) handler.onEnd(undefined);
  }

  bodyOf(exchange: Exchange): void {
    exchange.state = "over";
    exchange.endedAt = this.at;
    exchange.handler.onContent(Buffer.from(bodyOf(exchange.id)));
    exchange.handler.onEnd(undefined);
  }

  fail(exchange: Exchange): void {
    exchange.state = "over";
    this.#failures.push({ target: exchange.request.target, at: this.at, ms: this.nowMs });
    exchange.handler.onError(new OriginError("cut-short", "gone", { headSeen: false }));
  }

  /** What an exchange must have been for a client to get its body. */
  check({ client, target, headers, askedAt, got, doneAt }: Wanted): void {
    const source = this.exchanges.find(({ id }) => got === bodyOf(id));
    if (source?.head === undefined) throw new Error(`${client} got ${JSON.stringify(got)}, which nobody sent`);
    expect(source.request.target).toBe(target);
    const { head } = source;
    const isOwn = source.client === client;
    /** 304s about it that came after the client had asked; those that were for others count only if they may. */
    const validated = this.exchanges.filter(
      (one) =>
        one.request.target === target &&
        one.head?.status === 304 &&
        one.head.version === head.version &&
        one.head.at >= askedAt &&
        one.head.at <= doneAt &&
        (one.client === client || (one.head.policy !== "private" && one.head.policy !== "no-store")),
    );
    const because = JSON.stringify({ client, askedAt, headers, source: { ...source, request: 0, handler: 0 } });
    // Section 5.2.2.5, 5.2.2.7: what is for one client is nobody else's.
    if (!isOwn) expect([because, head.policy]).not.toEqual([because, expect.stringMatching(/private|no-store/)]);
    // After a purge has answered, nobody gets what was asked for before it.
    const purgedAt = this.purgedAt.get(target) ?? -1;
    if (purgedAt >= 0 && purgedAt < askedAt) expect([because, source.sentAt > purgedAt]).toEqual([because, true]);
    if (isOwn || validated.length > 0) return;
    // Section 4.3.4: since it was stored, 304s may have said something else of it. Not those to one client's credentials, or that wants nothing stored.
    const words = this.exchanges.filter(
      (one) =>
        one.request.target === target &&
        one.head?.status === 304 &&
        one.head.version === head.version &&
        one.head.at > source.endedAt &&
        one.head.at < askedAt &&
        !one.request.fields.has("authorization") &&
        one.request.fields.get("cache-control") !== "no-store",
    );
    const last = [head, ...words.map((one) => one.head!)].reduce((one, other) => (other.at > one.at ? other : one));
    // Sections 5.2.2.4, 5.2.2.5, 5.2.2.7, 4.2.4: nor, unless it is validated, what is no-cache, or stale.
    expect([because, last.policy]).toEqual([because, expect.stringMatching(/^(?:fresh|varies)$/)]);
    // Section 4.1: nor what is another variant.
    const ownV = /X-V: (.)/.exec(headers)?.[1];
    if (head.policy === "varies") expect([because, source.request.fields.get("x-v")]).toEqual([because, ownV]);
    const askedMs = this.#clockAt.get(askedAt)!;
    const isStale = askedMs - last.ms >= LIFETIME_SECONDS * 1000;
    // Section 4.2.4: but for an origin that fails just then, or has a moment ago.
    const hasFailed = this.#failures.some(
      (failure) => failure.target === target && failure.at <= doneAt && askedMs - failure.ms < 2_000,
    );
    if (isStale) expect([because, hasFailed]).toEqual([because, true]);
    // Section 5.2.1.4: a client that wants it validated gets nothing that had come before it asked.
    if (headers.includes("no-cache")) expect([because, head.at >= askedAt]).toEqual([because, true]);
  }

  readonly #failures: { target: string; at: number; ms: number }[] = [];
  readonly #clockAt = new Map<number, number>();

  nextStep(): void {
    this.at++;
    this.#clockAt.set(this.at, this.nowMs);
  }

  #send(request: OriginRequest, handler: OriginHandler): OriginExchange {
    const client = request.fields.get("x-client") ?? "";
    const exchange: Exchange = {
      id: this.exchanges.length,
      request,
      handler,
      client,
      sentAt: this.at,
      state: "asked",
      endedAt: Number.POSITIVE_INFINITY,
    };
    this.exchanges.push(exchange);
    const nothing = { pause() {}, resume() {}, write: () => true, endContent() {} };
    const abort = () => {
      exchange.state = "over";
    };
    return { ...nothing, abort };
  }

  #answer(ask: Ask, portion: PortionAnswer, response?: ResponseAnswer): void {
    const wanted = this.wanted.get(ask.transfer)!;
    const from = (response === undefined ? NEXT_PAYLOAD_OFFSET : FIRST_PAYLOAD_OFFSET) + (response?.headBytes ?? 0);
    const end = portion.payloadOffset + portion.bytes;
    wanted.got += Buffer.from(ask.bytes.subarray(from, end)).toString("latin1");
    wanted.head ??= response;
    if (portion.last) this.#finish(wanted);
    else this.#reads.push(ask.transfer);
  }

  #refuse(ask: Ask, refusal: Refusal): void {
    if (refusal === "pending") return; // a notice will say when to ask again
    const wanted = this.wanted.get(ask.transfer)!;
    wanted.refusal = refusal;
    this.#finish(wanted);
  }

  #finish(wanted: Wanted): void {
    wanted.isDone = true;
    wanted.doneAt = this.at;
  }

  #readOn(transfer: number): void {
    const wanted = this.wanted.get(transfer)!;
    const position = (wanted.head?.headBytes ?? 0) + wanted.got.length;
    if (!wanted.isDone) this.shard.read(askOf(transfer, position));
  }
}

function askOf(transfer: number, firstByte: number): Ask {
  const bytes = new Uint8Array(new ArrayBuffer(4096));
  return { transfer, thread: 0, firstByte, bytesMax: bytes.length, bytes };
}

function bodyOf(id: number): string {
  return `exchange ${id} `.padEnd(50, "-");
}

const HEADERS = [
  "",
  "",
  "",
  "Cache-Control: no-cache\r\n",
  "Cache-Control: no-store\r\n",
  "Authorization: Basic x\r\n",
];

const target = fc.constantFrom(...TARGETS);
const which = fc.nat(20);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("ask"), target, headers: fc.constantFrom(...HEADERS) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("head"), which }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("body"), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fail"), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave"), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("time"), seconds: fc.nat(12) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("policy"),
      target,
      policy: fc.constantFrom(...(Object.keys(POLICIES) as Policy[])),
      isNew: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("purge"), target, all: fc.boolean() }) },
) as fc.Arbitrary<Step>;

type Step =
  | { do: "ask"; target: string; headers: string }
  | { do: "head" | "body" | "fail" | "leave"; which: number }
  | { do: "time"; seconds: number }
  | { do: "policy"; target: string; policy: Policy; isNew: boolean }
  | { do: "purge"; target: string; all: boolean };

async function run(steps: readonly Step[]): Promise<void> {
  const story = new Story();
  for (const one of steps) {
    story.nextStep();
    take(story, one);
    await story.settle();
  }
  // In the end the origin answers everything: then nobody may be left waiting.
  for (let round = 0; round < 1000; round++) {
    const open = story.exchanges.find(({ state }) => state !== "over");
    if (open === undefined) break;
    story.nextStep();
    if (open.state === "asked") story.headOf(open);
    else story.bodyOf(open);
    await story.settle();
  }
  for (const wanted of story.wanted.values()) {
    expect(wanted).toMatchObject({ client: wanted.client, isDone: true });
    if (wanted.refusal === undefined) story.check(wanted);
    else expect(["origin-error", "unvalidated", "cancelled", "cut-short"]).toContain(wanted.refusal);
  }
}

function take(story: Story, one: Step): void {
  switch (one.do) {
    case "ask":
      return story.ask(one.target, one.headers);
    case "head":
    case "body":
    case "fail": {
      const state = one.do === "body" ? "begun" : "asked";
      const open = story.exchanges.filter((exchange) => exchange.state === state);
      const exchange = open[one.which % Math.max(1, open.length)];
      if (exchange === undefined) return;
      if (one.do === "head") story.headOf(exchange);
      else if (one.do === "body") story.bodyOf(exchange);
      else story.fail(exchange);
      return;
    }
    case "leave": {
      const there = [...story.wanted].filter(([, { isDone }]) => !isDone);
      const leaving = there[one.which % Math.max(1, there.length)];
      if (leaving !== undefined) leaving[1].refusal = "cancelled";
      if (leaving !== undefined) leaving[1].isDone = true;
      if (leaving !== undefined) story.shard.close(leaving[0]);
      return;
    }
    case "time":
      story.nowMs += one.seconds * 1000;
      return;
    case "policy":
      story.policies.set(one.target, one.policy);
      if (one.isNew) story.versions.set(one.target, (story.versions.get(one.target) ?? 0) + 1);
      return;
    case "purge": {
      const key = `http://origin.example${one.target}`;
      const selector = one.all ? ({ by: "all" } as const) : ({ by: "key", key, target: one.target } as const);
      story.purges++;
      void story.shard.purge({ selectors: [selector], soft: false, dryRun: false, number: story.purges });
      for (const purged of one.all ? TARGETS : [one.target]) story.purgedAt.set(purged, story.at);
    }
  }
}

test("whatever the order: nobody gets what he may not, and everybody gets something", async () => {
  const seed = Date.now() % 2 ** 31;
  process.stdout.write(`seed ${seed}\n`);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => run(steps)),
    { seed, numRuns: process.env["WEBPROXY_TESTS"] === "whole" ? 20_000 : 600 },
  );
}, 120_000);

test("who waited for what a purge has overtaken is answered with what has been stored since", () => {
  const ask = { do: "ask", target: "/a", headers: "" } as const;
  const purge = { do: "purge", target: "/a", all: false } as const;
  // Two wait for one exchange; after the purge another one brings something that is stored; then the first one's head comes.
  return run([ask, ask, purge, ask, { do: "head", which: 1 }, { do: "body", which: 0 }, { do: "head", which: 0 }]);
});
