import {
  bumpStripe,
  type CacheCounter,
  type Counters,
  cacheStatusOf,
  currentAgeMs,
  type Invalidation,
  type LogRecord,
  type PassedResponse,
  type Refusal,
  renderCacheStatus,
  stripeVersion,
  targetHash,
  ttlMs,
  type ValidationReason,
  type Verdict,
  type WantedResponse,
} from "@proj/protocol";
import type { CacheSites } from "./cache-sites.ts";
import { type Ask, type AskHandler, type ChannelServer, isReplaced } from "./channel-server.ts";
import { ClientRequest } from "./client-request.ts";
import { explain, type Fate } from "./explain/explain.ts";
import type { Explanation } from "./explain/explanation.ts";
import { Fill } from "./fill.ts";
import { askFor } from "./fill-ask.ts";
import type { FillHost, FillStart } from "./fill-host.ts";
import { FillTable } from "./fill-table.ts";
import { withCacheStatus } from "./head-block.ts";
import { Invalidator } from "./invalidator.ts";
import { isQuiet } from "./origin-failure.ts";
import type { OriginTimes } from "./origin-times.ts";
import type { PurgeCount, ShardPurge } from "./purge.ts";
import { type Available, availableFrom, chooseReply, type Handling, type Reply } from "./reply.ts";
import { forwardReasonOf, isDoubtful, isGoodOnError, requestControl, type Selection, select } from "./selection.ts";
import type { SharedNews, SharedSide } from "./shared/shared-side.ts";
import { fillModeOf, mayBeHot, mayShare } from "./sharing.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import { storedFromPost } from "./stored-from-post.ts";
import type { StoredResponse } from "./stored-response.ts";
import { type Source, Transfer } from "./transfer.ts";
import { WaitingTransfers } from "./waiting-transfers.ts";

/** The keys of one thread: what is stored under them, what is being fetched, who is being served. Nobody else touches any of it. */
export class Shard implements AskHandler, FillHost {
  readonly storage: TieredStorage;
  readonly shared: SharedSide | undefined;
  readonly counters: Counters<CacheCounter>;
  readonly originTimes: OriginTimes;
  readonly log: (record: LogRecord) => void;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly #sites: CacheSites;
  readonly #owns: (hash: number) => boolean;
  readonly #versions: Int32Array;
  readonly #arrivals: Int32Array;
  readonly #transfers = new Map<number, Transfer>();
  readonly #fills: FillTable;
  readonly #invalidator: Invalidator;
  readonly #waiting: WaitingTransfers;
  #channel: ChannelServer | undefined;
  #saidForeign = false;

  /** @param options.owns Whether the target with this hash is this shard's. @param options.versions The stripes' versions, for what proxies may keep; `arrivals`, for what they may take to be absent. */
  constructor(options: {
    storage: TieredStorage;
    shared: SharedSide | undefined;
    sites: CacheSites;
    owns: (hash: number) => boolean;
    versions: Int32Array;
    arrivals: Int32Array;
    counters: Counters<CacheCounter>;
    originTimes: OriginTimes;
    log: (record: LogRecord) => void;
    nowMs: () => number;
    monotonicMs: () => number;
  }) {
    this.storage = options.storage;
    this.shared = options.shared;
    this.counters = options.counters;
    this.originTimes = options.originTimes;
    this.log = options.log;
    this.nowMs = options.nowMs;
    this.#sites = options.sites;
    this.#owns = options.owns;
    this.#versions = options.versions;
    this.#arrivals = options.arrivals;
    this.monotonicMs = options.monotonicMs;
    this.#fills = new FillTable(options.monotonicMs);
    const { storage, shared, versions, nowMs } = options;
    this.#invalidator = new Invalidator({ storage, shared, fills: this.#fills, versions, nowMs });
    this.#waiting = new WaitingTransfers(options.monotonicMs, (transfer) => {
      for (const ask of transfer.asks.splice(0)) this.#channel!.refuse(ask, "pending");
    });
  }

  /** The channel to answer through: it needs this shard as its handler, so it comes second. */
  connect(channel: ChannelServer): void {
    this.#channel = channel;
  }

  /** Step 5: somebody wants a response. */
  open(ask: Ask, wanted: WantedResponse): boolean {
    if (this.#transfers.has(ask.transfer)) return false;
    const site = this.#sites.get(wanted.site);
    if (site === undefined) {
      this.#refuseForeign(ask);
      return true;
    }
    const request = new ClientRequest(wanted, site);
    // Two shards with one key would have one file for it, and each would remove the other's.
    if (!this.#owns(request.hash)) return false;
    const transfer = new Transfer(ask.transfer, ask.thread, request);
    this.#transfers.set(transfer.id, transfer);
    transfer.asks.push(ask);
    const bringing = this.storage.bring(request.key);
    if (bringing === undefined) {
      this.decide(transfer, undefined);
      return true;
    }
    void bringing.then(() => {
      if (this.#transfers.get(transfer.id) === transfer) this.decide(transfer, undefined);
    });
    this.#waiting.add(transfer);
    return true;
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

  goAlone(transfer: Transfer): void {
    this.decide(transfer, "any");
  }

  decide(transfer: Transfer, without: Fill | "any" | undefined): void {
    transfer.fill = undefined;
    this.#choose(transfer, without);
    this.serve(transfer);
  }

  /** Chooses what answers `transfer`: a stored response, another's fill unless that is `without`, or a fill of its own. */
  #choose(transfer: Transfer, without: Fill | "any" | undefined): void {
    const { request } = transfer;
    if (request.ruling.bypass) return this.#bypass(transfer);
    const variants = transfer.isUnreadable ? [] : this.storage.lookup(request.key);
    const selection = select(variants, request, this.nowMs(), this.shared?.validFrom ?? 0);
    if (selection.kind === "stored" && this.#answerFromStore(transfer, selection)) return;
    if (selection.kind !== "stored" && requestControl(request).onlyIfCached) return this.refuse(transfer, "not-stored");
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
        transfer.begin(
          this.#withStatus(this.#withLeave(choice.reply, transfer.request), transfer.request, available),
          source,
        );
        return "attached";
      case "refusal":
        this.refuse(transfer, choice.refusal);
        return "gone";
      case "length-wanted":
        return "length-wanted";
      case "ask-origin":
        this.#passOn(transfer, "request");
        return "gone";
    }
  }

  /** Answers what `transfer` asks for, as far as it is there. */
  serve(transfer: Transfer): void {
    const { asks } = transfer;
    while (asks.length > 0) {
      if (isReplaced(asks[0]!)) {
        asks.shift();
        continue;
      }
      const outcome = transfer.serve(asks[0]!, this.#channel!);
      if (outcome === "waits") return this.#waiting.add(transfer);
      if (outcome === "loads") return this.#waitForDisk(transfer);
      if (outcome instanceof Promise) {
        void outcome.then(() => {
          if (this.#transfers.get(transfer.id) === transfer) this.serve(transfer);
        });
        return this.#waitForDisk(transfer);
      }
      if (outcome === "broken") {
        this.#choose(transfer, undefined);
        continue;
      }
      asks.shift();
      if (outcome === "whole") return this.#drop(transfer);
    }
    this.#waiting.delete(transfer);
    if (transfer.noticeOwed && transfer.isReady) {
      transfer.noticeOwed = false;
      this.#channel!.notify(transfer.id);
    }
  }

  interim(transfer: Transfer, status: number, bytes: Uint8Array): void {
    transfer.interims.push({ status, bytes });
    this.serve(transfer);
  }

  refuse(transfer: Transfer, refusal: Refusal): void {
    transfer.refusal = refusal;
    this.serve(transfer);
  }

  askForWhole(transfers: readonly Transfer[], reason: Verdict): void {
    const ask = { kind: "whole", selected: undefined, candidates: [] } as const;
    let fill: Fill | undefined;
    for (const transfer of transfers) {
      if (fill?.takes(transfer.request)) {
        transfer.fill = fill;
        fill.join(transfer);
      } else {
        fill = this.#startFill(transfer, { mode: fillModeOf(transfer.request), ask, reason });
      }
    }
  }

  rememberPass(key: string): void {
    this.#fills.rememberPass(key);
  }

  rememberFate(key: string, fate: Fate | undefined): void {
    this.#fills.rememberFate(key, fate);
  }

  /** What would happen to this request now: the decisions of {@link decide}, told instead of carried out. Nothing changes by it. */
  explain(wanted: WantedResponse): Explanation | undefined {
    const site = this.#sites.get(wanted.site);
    if (site === undefined) return undefined;
    const request = new ClientRequest(wanted, site);
    const nowMs = this.nowMs();
    const validFrom = this.shared?.validFrom ?? 0;
    const variants = this.storage.lookup(request.key);
    const selection = select(variants, request, nowMs, validFrom);
    const stored = selection.kind === "none" ? undefined : selection.stored;
    return explain({
      request,
      variants,
      selection,
      forwardReason: forwardReasonOf(selection),
      tierOf: (one) => this.storage.tierOf(one),
      mayBeHot: stored !== undefined && mayBeHot(request, stored),
      isDoubtful: stored !== undefined && isDoubtful(stored, validFrom),
      wouldWait: mayShare(request) && this.#fills.find(request, undefined) !== undefined,
      passMs: this.#fills.passMs(request.key),
      fate: this.#fills.fateOf(request.key),
      nowMs,
    });
  }

  rememberVary(key: string, names: readonly string[]): void {
    this.#fills.rememberVary(key, names);
  }

  /** See {@link Invalidator}. */
  purge(purge: ShardPurge): Promise<PurgeCount> {
    return this.#invalidator.purge(purge);
  }

  hear(news: SharedNews): void {
    this.#invalidator.hear(news);
  }

  invalidate(what: Invalidation): boolean {
    const site = this.#sites.get(what.site);
    if (site === undefined) return true; // of a configuration that is another by now
    if (!what.targets.every((target) => this.#owns(targetHash(target)))) return false;
    this.#invalidator.changed(site.keyPrefix, what);
    return true;
  }

  /** RFC 9110 section 9.3.3: what a POST was answered with, as if a GET had been. */
  keep(passed: PassedResponse): boolean {
    const site = this.#sites.get(passed.site);
    if (site === undefined) return true; // of a configuration that is another by now
    const keyTarget = site.rulingOn(passed.target).rule?.keyTarget(passed.target) ?? passed.target;
    if (!this.#owns(targetHash(keyTarget))) return false;
    const stored = storedFromPost(passed, site, this.storage);
    if (stored === undefined) return true;
    const { response } = stored;
    response.filledAfter = this.shared?.sequence ?? 0;
    const { body } = response; // which the store may replace by its own
    const isStored = this.storage.store(stored.storage, response);
    if (isStored) this.shared?.offer(response, undefined, () => this.storage.has(response));
    body.release();
    return true;
  }

  ended(fill: Fill): void {
    this.#fills.remove(fill);
    this.counters.set("fillsOpen", this.#fills.size);
  }

  /** A proxy that was started with another configuration asks for a site that is none here. */
  #refuseForeign(ask: Ask): void {
    if (!this.#saidForeign) {
      const message =
        "A proxy asks for a site that this cache does not have, and is refused: start both with the same configuration";
      this.log({ level: "error", message });
    }
    this.#saidForeign = true;
    this.#channel!.refuse(ask, "origin-error");
  }

  /** By an operator's rule: nothing stored answers, and nothing is stored. */
  #bypass(transfer: Transfer): void {
    this.counters.add("passes");
    this.#passOn(transfer, "bypass");
  }

  /** True when the stored response is the answer, or the request forbids any other. */
  #answerFromStore(transfer: Transfer, selection: Extract<Selection, { kind: "stored" }>): boolean {
    const { stored, reuse } = selection;
    if (reuse.use === "validate" && !this.#isGoodEnough(stored, reuse.reason, transfer.request)) return false;
    if (reuse.use === "gateway-timeout") {
      this.refuse(transfer, "not-stored");
      return true;
    }
    this.counters.add("hits");
    if (reuse.use === "stale" && reuse.reason === "stale-while-revalidate")
      this.#validateInBackground(transfer, selection);
    const nowMs = this.nowMs();
    const handling = this.#hitHandling(transfer.request, stored, nowMs);
    this.storage.touch(stored, handling.hotVersion !== undefined);
    this.attach(transfer, availableFrom(stored), handling, undefined);
    return true;
  }

  /** The origin has failed a moment ago to say whether it still is: what was good enough then is so now. */
  #isGoodEnough(stored: StoredResponse, reason: ValidationReason, request: ClientRequest): boolean {
    const nowMs = this.nowMs();
    if (reason !== "stale" || !isQuiet(stored.quietUntilMs, nowMs)) return false;
    return isGoodOnError(stored, request, { kind: "unreachable" }, nowMs, this.shared?.validFrom ?? 0);
  }

  /** Says for how long the proxy may do without us what {@link #fetch} would do: nothing is stored, and the response can not be shared. */
  #withLeave(reply: Reply, { key, method, wire, stripe }: ClientRequest): Reply {
    const ms = reply.response.verdict === "hit" || method !== "GET" || wire !== "http" ? 0 : this.#fills.passMs(key);
    if (ms === 0 || this.storage.lookup(key).length > 0) return reply;
    return { ...reply, response: { ...reply.response, pass: { version: stripeVersion(this.#versions, stripe), ms } } };
  }

  /** Renders Cache-Status here where the proxy can not: behind what caches nearer the origin said, or with the key. */
  #withStatus(reply: Reply, request: ClientRequest, { fields }: Available): Reply {
    const upstream = fields.get("cache-status");
    const key = request.wantsKey ? request.key : undefined;
    if (request.wire === "getfile" || (upstream === undefined && key === undefined)) return reply;
    const status = { ...cacheStatusOf(reply.response), ...(key !== undefined && { key }) };
    const headBlock = withCacheStatus(reply.headBlock, renderCacheStatus(status, upstream));
    return {
      ...reply,
      headBlock,
      response: { ...reply.response, headBytes: headBlock.length, hasCacheStatus: true, hotVersion: undefined },
    };
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
      hasCacheStatus: false,
    };
  }

  #fetch(transfer: Transfer, selection: Selection, without: Fill | "any" | undefined): void {
    const { request } = transfer;
    const reason = forwardReasonOf(selection);
    const ask = askFor(request, selection);
    if (ask.kind === "as-sent") {
      this.counters.add("misses");
      this.#startFill(transfer, { mode: "pass", ask, reason });
      return;
    }
    if (selection.kind === "none" && this.#fills.isPass(request.key)) {
      this.counters.add("misses");
      this.counters.add("passes");
      // One client's conditions and ranges are the origin's to judge. What a plain request is answered with may well be stored: that it lately could
      // not be may have been due to who asked then.
      if (request.hasDecidingFields) this.#passOn(transfer, "bypass");
      else this.#startFill(transfer, { mode: "own", ask, reason });
      return;
    }
    const other = without !== "any" && mayShare(request) ? this.#fills.find(request, without) : undefined;
    const mode = without === "any" ? "own" : fillModeOf(request);
    const fill = other ?? this.#startFill(transfer, { mode, ask, reason });
    // Of one that still looks in the shared tier it is not known yet.
    if (!fill.isSearching) this.counters.add("misses");
    if (other === undefined) return;
    transfer.fill = other;
    other.join(transfer);
  }

  /** The origin gets what the client sent, and the client what the origin answers. */
  #passOn(transfer: Transfer, reason: Verdict): void {
    if (requestControl(transfer.request).onlyIfCached) return this.refuse(transfer, "not-stored");
    this.#startFill(transfer, { mode: "pass", ask: { kind: "as-sent", stored: undefined }, reason });
  }

  #startFill(transfer: Transfer | undefined, start: FillStart, request = transfer!.request): Fill {
    if (start.mode !== "pass") bumpStripe(this.#arrivals, request.stripe);
    const fill = new Fill(this, transfer, request, start);
    if (transfer !== undefined) transfer.fill = fill;
    this.#fills.add(fill);
    this.counters.set("fillsOpen", this.#fills.size);
    fill.start();
    return fill;
  }

  /** RFC 5861 section 3: once, however many are served stale meanwhile. */
  #validateInBackground(transfer: Transfer, selection: Extract<Selection, { kind: "stored" }>): void {
    const request = transfer.request.asGet();
    if (this.nowMs() < selection.stored.quietUntilMs || this.#fills.find(request, undefined) !== undefined) return;
    const ask = askFor(request, selection);
    if (ask.kind !== "as-sent") this.#startFill(undefined, { mode: "shared", ask, reason: "stale" }, request);
  }

  /** A later portion is not answered `pending`: what is behind it may have been asked for, since the stream is known to be there, and would then come in its place. */
  #waitForDisk(transfer: Transfer): void {
    if (transfer.asks[0]!.firstByte === 0) this.#waiting.add(transfer);
    else this.#waiting.delete(transfer);
  }

  #drop(transfer: Transfer): void {
    this.#transfers.delete(transfer.id);
    this.#waiting.delete(transfer);
    transfer.end();
    transfer.fill?.leave(transfer);
    transfer.fill = undefined;
  }
}
