import type { OriginClient } from "@proj/origin";
import {
  type CacheCounter,
  type Counters,
  currentAgeMs,
  type LogRecord,
  type Refusal,
  stripeVersion,
  ttlMs,
  type Verdict,
  type WantedResponse,
} from "@proj/protocol";
import type { Ask, AskHandler, ChannelServer } from "./channel-server.ts";
import { ClientRequest } from "./client-request.ts";
import { availableFrom, Fill, type FillHost, type FillMode } from "./fill.ts";
import { FillTable } from "./fill-table.ts";
import { type Available, chooseReply, type Handling } from "./reply.ts";
import { requestControl, type Selection, select } from "./selection.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import type { StoredResponse } from "./stored-response.ts";
import { type Source, Transfer } from "./transfer.ts";

/** An ask that has waited so long for the origin gives its segment back. */
const PENDING_AFTER_MS = 25;

/** The keys of one thread: what is stored under them, what is being fetched, who is being served. Nobody else touches any of it. */
export class Shard implements AskHandler, FillHost {
  readonly storage: TieredStorage;
  readonly origin: OriginClient;
  readonly counters: Counters<CacheCounter>;
  readonly log: (record: LogRecord) => void;
  readonly nowMs: () => number;
  readonly #keyPrefix: string;
  readonly #versions: Int32Array;
  readonly #monotonicMs: () => number;
  readonly #transfers = new Map<number, Transfer>();
  readonly #fills: FillTable;
  /** Transfers with asks that wait for the origin. */
  readonly #waiting = new Set<Transfer>();
  #pendingTimer: ReturnType<typeof setTimeout> | undefined;
  #channel: ChannelServer | undefined;

  /** @param options.keyPrefix Scheme, host and port of the origin: with the target they are the key.
   * @param options.versions The stripes' versions, for what proxies may keep. */
  constructor(options: {
    storage: TieredStorage;
    origin: OriginClient;
    keyPrefix: string;
    versions: Int32Array;
    counters: Counters<CacheCounter>;
    log: (record: LogRecord) => void;
    nowMs: () => number;
    monotonicMs: () => number;
  }) {
    this.storage = options.storage;
    this.origin = options.origin;
    this.counters = options.counters;
    this.log = options.log;
    this.nowMs = options.nowMs;
    this.#keyPrefix = options.keyPrefix;
    this.#versions = options.versions;
    this.#monotonicMs = options.monotonicMs;
    this.#fills = new FillTable(options.monotonicMs);
  }

  /** The channel to answer through: it needs this shard as its handler, so it comes second. */
  connect(channel: ChannelServer): void {
    this.#channel = channel;
  }

  /** Step 5: somebody wants a response. */
  open(ask: Ask, wanted: WantedResponse): void {
    const request = new ClientRequest(wanted, this.#keyPrefix + wanted.target);
    const transfer = new Transfer(ask.transfer, ask.thread, request);
    this.#transfers.set(transfer.id, transfer);
    transfer.asks.push(ask);
    this.decide(transfer, undefined);
    this.serve(transfer);
  }

  read(ask: Ask): void {
    const transfer = this.#transfers.get(ask.transfer);
    if (transfer === undefined) return this.#channel!.refuse(ask, "refused");
    transfer.asks.push(ask);
    this.serve(transfer);
  }

  close(id: number): void {
    const transfer = this.#transfers.get(id);
    if (transfer === undefined) return;
    for (const ask of transfer.asks.splice(0)) this.#channel!.refuse(ask, "cancelled");
    this.#drop(transfer);
  }

  forgetAll(): void {
    for (const transfer of [...this.#transfers.values()]) {
      transfer.asks.length = 0;
      this.#drop(transfer);
    }
  }

  /** Chooses what answers `transfer`: a stored response, another's fill, or a fill of its own. */
  decide(transfer: Transfer, without: Fill | undefined): void {
    const { request } = transfer;
    const selection = select(this.storage.lookup(request.key), request, this.nowMs());
    if (selection.kind === "stored" && this.#answerFromStore(transfer, selection)) return;
    if (selection.kind === "none" && requestControl(request).onlyIfCached)
      return this.refuse(transfer, "origin-timeout");
    this.#fetch(transfer, selection, without);
  }

  attach(
    transfer: Transfer,
    available: Available,
    handling: Handling,
    source: Source | undefined,
  ): "attached" | "length-wanted" | "gone" {
    const choice = chooseReply(transfer.request, available, handling);
    switch (choice.kind) {
      case "reply":
        transfer.begin(choice.reply, source);
        return "attached";
      case "refusal":
        this.refuse(transfer, choice.refusal);
        return "gone";
      case "length-wanted":
        return "length-wanted";
      case "ask-origin":
        this.#startFill(transfer, { mode: "pass", reason: "request" });
        return "gone";
    }
  }

  /** Answers what `transfer` asks for, as far as it is there. */
  serve(transfer: Transfer): void {
    const { asks } = transfer;
    while (asks.length > 0) {
      const outcome = transfer.serve(asks[0]!, this.#channel!);
      if (outcome === "waits") return this.#wait(transfer);
      asks.shift();
      if (outcome === "whole") return this.#drop(transfer);
    }
    this.#waiting.delete(transfer);
    if (transfer.noticeOwed && transfer.isReady) {
      transfer.noticeOwed = false;
      this.#channel!.notify(transfer.id);
    }
  }

  refuse(transfer: Transfer, refusal: Refusal): void {
    transfer.refusal = refusal;
    this.serve(transfer);
  }

  rememberPass(key: string): void {
    this.#fills.rememberPass(key);
  }

  ended(fill: Fill): void {
    this.#fills.remove(fill);
    this.counters.set("fillsOpen", this.#fills.size);
  }

  /** True when the stored response is the answer, or the request forbids any other. */
  #answerFromStore(transfer: Transfer, { stored, reuse }: Extract<Selection, { kind: "stored" }>): boolean {
    if (reuse.use === "validate") return false;
    if (reuse.use === "gateway-timeout") {
      this.refuse(transfer, "origin-timeout");
      return true;
    }
    this.counters.add("hits");
    this.storage.touch(stored);
    if (reuse.use === "stale" && reuse.reason === "stale-while-revalidate")
      this.#validateInBackground(transfer, stored);
    const nowMs = this.nowMs();
    this.attach(transfer, availableFrom(stored), this.#hitHandling(transfer.request, stored, nowMs), undefined);
    return true;
  }

  #hitHandling(request: ClientRequest, stored: StoredResponse, nowMs: number): Handling {
    const ttlSeconds = Math.floor(ttlMs(stored.freshness, nowMs) / 1000);
    return {
      verdict: "hit",
      ageSeconds: Math.floor(currentAgeMs(stored.freshness, nowMs) / 1000),
      ttlSeconds,
      forwardStatus: undefined,
      stored: false,
      collapsed: false,
      hotVersion:
        ttlSeconds > 0 && mayBeHot(request, stored) ? stripeVersion(this.#versions, stored.stripe) : undefined,
    };
  }

  #fetch(transfer: Transfer, selection: Selection, without: Fill | undefined): void {
    const { request } = transfer;
    this.counters.add("misses");
    const validating = selection.kind === "stored" ? selection.stored : undefined;
    const reason = reasonOf(selection);
    if (request.method === "HEAD") return this.#startFill(transfer, { mode: "pass", reason });
    if (this.#fills.isPass(request.key) && validating === undefined) {
      this.counters.add("passes");
      return this.#startFill(transfer, { mode: "pass", reason: "bypass" });
    }
    const mode: FillMode = request.hasDecidingFields && request.fields.has("authorization") ? "own" : "shared";
    const other = mode === "shared" ? this.#fills.find(request, without) : undefined;
    if (other === undefined) return this.#startFill(transfer, { mode, reason, validating });
    transfer.fill = other;
    other.join(transfer);
  }

  #startFill(
    transfer: Transfer | undefined,
    how: { mode: FillMode; reason: Verdict; validating?: StoredResponse | undefined },
    request = transfer!.request,
  ): void {
    const fill = new Fill(this, transfer, request, how);
    if (transfer !== undefined) transfer.fill = fill;
    this.#fills.add(fill);
    this.counters.set("fillsOpen", this.#fills.size);
    fill.start();
  }

  /** RFC 5861 section 3: once, however many are served stale meanwhile. */
  #validateInBackground(transfer: Transfer, stored: StoredResponse): void {
    const { request } = transfer;
    if (this.#fills.find(request, undefined) !== undefined) return;
    this.#startFill(undefined, { mode: "shared", reason: "stale", validating: stored }, request);
  }

  #wait(transfer: Transfer): void {
    if (!this.#waiting.has(transfer)) {
      transfer.waitingSinceMs = this.#monotonicMs();
      this.#waiting.add(transfer);
    }
    this.#pendingTimer ??= setTimeout(() => this.#answerPending(), PENDING_AFTER_MS);
  }

  #answerPending(): void {
    this.#pendingTimer = undefined;
    const dueMs = this.#monotonicMs() - PENDING_AFTER_MS;
    for (const transfer of this.#waiting) {
      if (transfer.waitingSinceMs > dueMs) continue;
      this.#waiting.delete(transfer);
      transfer.noticeOwed = true;
      for (const ask of transfer.asks.splice(0)) this.#channel!.refuse(ask, "pending");
    }
    if (this.#waiting.size > 0) this.#pendingTimer = setTimeout(() => this.#answerPending(), PENDING_AFTER_MS);
  }

  #drop(transfer: Transfer): void {
    this.#transfers.delete(transfer.id);
    this.#waiting.delete(transfer);
    transfer.end();
    transfer.fill?.leave(transfer);
    transfer.fill = undefined;
  }
}

/** A proxy may answer others with it without asking: the same for everybody who says nothing but which resource is wanted. */
function mayBeHot(request: ClientRequest, { status, variant, fields }: StoredResponse): boolean {
  if (status !== 200 || request.method !== "GET" || request.hasDecidingFields) return false;
  return variant.varyNames.length === 0 && !fields.has("content-encoding");
}

function reasonOf(selection: Selection): Verdict {
  if (selection.kind === "none") return selection.reason;
  const { reuse } = selection;
  return reuse.use === "validate" && reuse.reason.startsWith("request-") ? "request" : "stale";
}
