import type { OriginError, OriginExchange, OriginHandler } from "@proj/origin";
import {
  type CacheControl,
  cacheTags,
  currentAgeMs,
  endToEndFields,
  Fields,
  type Framing,
  fieldsToStore,
  freshnessOf,
  headEffect,
  madeStale,
  NO_DIRECTIVES,
  type NotStorableReason,
  type OriginFailure,
  parseContentRange,
  type Refusal,
  type ResponseHead,
  reuse,
  reuseOnError,
  type Storable,
  sameStrongValidator,
  storable,
  ttlMs,
  type Verdict,
  variantOf,
  withDate,
} from "@proj/protocol";
import { type Arriving, bodyBytesOf, bytesIn, isFor } from "./arriving.ts";
import type { ClientRequest } from "./client-request.ts";
import type { NotStoredReason } from "./explain/reasons.ts";
import { askFields, type FillAsk } from "./fill-ask.ts";
import type { FillHost, FillMode, FillStart } from "./fill-host.ts";
import { type ExchangeTimes, freshen, renew, renewalOf, renewByNotModified, type Validation } from "./freshening.ts";
import { GrowingBody } from "./growing-body.ts";
import { renderHeadBlock, renderInterim } from "./head-block.ts";
import { keepArrived, keepRest } from "./keeping.ts";
import type { KeyMatch } from "./key-selector.ts";
import { quietMs, refusalOf } from "./origin-failure.ts";
import { type Available, availableFrom, type Handling } from "./reply.ts";
import { isDoubtful, isWhole, requestControl } from "./selection.ts";
import type { SharedSource } from "./shared/shared-source.ts";
import { SmallSet } from "./small-set.ts";
import type { StoredResponse } from "./stored-response.ts";
import type { Source, Transfer } from "./transfer.ts";

/** Other nodes do not wait for a body that is longer: it takes too long to be shared. */
const AWAITED_BYTES_MAX = 8 * 1024 * 1024;

/**
 * A body that nobody keeps goes on with its slowest reader. Where several share one (its length was unknown, and it has outgrown the tiers), one that takes nothing for so long while
 * others have all that is there is cut off: by itself it would have a minute.
 */
const HOLDS_UP_MS = 5_000;

/** One request to the origin and what becomes of its response: it is stored while the transfers that wait for it are served. */
export class Fill implements Source, OriginHandler {
  readonly key: string;
  readonly mode: FillMode;
  readonly request: ClientRequest;
  readonly #host: FillHost;
  readonly #ask: FillAsk;
  readonly #reason: Verdict;
  /** Whose request this is; undefined for one in the background. */
  readonly #leader: Transfer | undefined;
  readonly #waiting = new SmallSet<Transfer>();
  readonly #lengthWanted = new SmallSet<Transfer>();
  readonly #readers = new SmallSet<Transfer>();
  #requestTimeMs: number;
  #askedMs = 0;
  /** From asking the origin to the head of its answer. */
  #originMs: number | undefined;
  /** What is asked before the origin is. */
  #sharedSource: SharedSource | undefined;
  /** The last purge that was known when the origin was asked, or when the node that shares this asked it. */
  #filledAfter = 0;
  #exchange: Pick<OriginExchange, "pause" | "resume" | "abort"> | undefined;
  #isConditional = false;
  #response: Arriving | undefined;
  #body: GrowingBody | undefined;
  /** Where {@link #body} begins in the body that readers see. */
  #bodyStart = 0;
  #shared: Pick<Available, "fields" | "headBlock"> | undefined;
  #mayStore = false;
  /** The origin is not read on until the slowest reader has caught up. */
  #isHeldUp = false;
  /** Will cut off who holds others up, at this position of {@link #body}. */
  #holdsUp: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;
  #isPurged = false;
  #isOver = false;
  #failed = false;
  #serving = false;

  constructor(host: FillHost, leader: Transfer | undefined, request: ClientRequest, start: FillStart) {
    this.#host = host;
    this.#leader = leader;
    this.request = request;
    this.key = request.key;
    this.mode = start.mode;
    this.#ask = start.ask;
    this.#reason = start.reason;
    this.#requestTimeMs = host.nowMs();
    if (leader !== undefined) this.#waiting.add(leader);
  }

  get failed(): boolean {
    return this.#failed;
  }

  get replayable(): boolean {
    return this.#body?.tier !== undefined;
  }

  /** Nobody has asked the origin yet, and perhaps nobody will. */
  get isSearching(): boolean {
    return this.#sharedSource?.isSearching === true;
  }

  start(): void {
    this.#sharedSource = this.mode === "shared" ? this.#host.shared?.sourceFor(this.request, this.#ask) : undefined;
    if (this.#sharedSource === undefined) return this.#askOrigin();
    this.#exchange = this.#sharedSource;
    this.#sharedSource.start({
      missed: () => {
        this.#host.counters.add("misses", this.#waiting.size);
        this.#askOrigin();
      },
      begin: (arriving, body) => {
        this.#host.counters.add("hits", this.#waiting.size);
        this.#body = body;
        this.#mayStore = body.tier !== undefined;
        this.#response = arriving;
        this.#attachWaiting();
      },
      askAnew: (handler) => this.#send({ kind: "whole", selected: undefined, candidates: [] }, handler),
      take: (bytes) => this.#take(bytes),
      end: () => {
        this.#exchange?.abort();
        this.onEnd(undefined);
      },
      cut: () => {
        this.#giveUp();
        this.#fail("cut-short");
      },
      decideAnew: () => this.#decideAnew(),
      isPurged: () => this.#isPurged,
    });
  }

  #askOrigin(): void {
    this.#requestTimeMs = this.#host.nowMs();
    this.#filledAfter = this.#host.shared?.sequence ?? 0;
    this.#isConditional = this.#send(this.#ask, this);
  }

  /** Returns whether a 304 is an answer. */
  #send(ask: FillAsk, handler: OriginHandler): boolean {
    const { method, target } = this.request;
    const { fields, isConditional } = askFields(ask, this.request, this.#requestTimeMs);
    this.#host.counters.add("originRequests");
    this.#askedMs = this.#host.monotonicMs();
    this.#exchange = this.request.site.origin.send({ method, target, fields }, handler);
    return isConditional;
  }

  /** Whether `request` may wait for this fill's response, or read it as it comes. */
  takes(request: ClientRequest): boolean {
    if (this.mode !== "shared" || this.#isOver || this.#isPurged || request.method !== "GET") return false;
    if (this.#ask.kind === "range" && request.range !== this.request.range) return false;
    if (this.#response === undefined) return true;
    return this.#body?.tier !== undefined && this.#isFor(request, requestControl(request));
  }

  join(transfer: Transfer): void {
    if (this.#sharedSource?.found !== undefined) this.#host.counters.add("hits");
    else if (!this.isSearching) this.#host.counters.add("collapsed");
    if (this.#response === undefined) this.#waiting.add(transfer);
    else this.#attach(transfer);
  }

  /** `transfer` is over, from whatever cause. */
  leave(transfer: Transfer): void {
    this.#waiting.delete(transfer);
    this.#lengthWanted.delete(transfer);
    this.#readers.delete(transfer);
    this.#endIfUnwanted();
  }

  /** A purge, or an invalidation, has been: if it concerns this response, or may, nobody who comes later gets it. */
  purged(matches: KeyMatch): void {
    const tags = this.#response === undefined ? undefined : cacheTags(this.#response.fields);
    if (!matches(this.key, tags)) return;
    this.#isPurged = true;
    this.#endIfUnwanted();
  }

  progressed(): void {
    if (!this.#isOver) this.#control();
  }

  /** Nobody waits for it and it is not kept: the origin need not go on. */
  #endIfUnwanted(): void {
    if (this.#isOver) return;
    const wanted = this.#waiting.size + this.#lengthWanted.size + this.#readers.size > 0;
    const mayKeep = this.#response === undefined ? this.mode === "shared" : this.#body?.tier !== undefined;
    if (wanted || (mayKeep && !this.#isPurged)) return this.#control();
    this.#giveUp();
    this.#body?.abandon();
  }

  /** RFC 9110 section 15.2: passed to the one who asked, and never stored. */
  onInformational(head: ResponseHead): void {
    const leader = this.#leader;
    const isAsked = leader !== undefined && this.#waiting.has(leader) && leader.request.wire === "http";
    if (isAsked && head.status > 100) this.#host.interim(leader, head.status, renderInterim(head));
  }

  onHead(head: ResponseHead, framing: Framing): void {
    this.#originMs = this.#host.monotonicMs() - this.#askedMs;
    this.#host.originTimes.firstByte.add(this.#originMs);
    const selected = this.#selected;
    if (head.status === 304 && this.#ask.kind === "whole") return this.#notModified(this.#ask, head);
    if (selected !== undefined && this.#serveStale(selected, { kind: "status", status: head.status }, head)) {
      return this.#giveUp();
    }
    if (this.#ask.kind === "as-sent" && this.#ask.stored !== undefined && this.#headSays(this.#ask.stored, head))
      return;
    if (this.#ask.kind === "rest" && (head.status === 206 || head.status === 416)) {
      if (head.status === 416 || !this.#beginRest(this.#ask, head, framing)) return this.#askForWhole();
    } else {
      this.#begin(head, framing);
    }
    this.#attachWaiting();
  }

  onContent(chunk: Uint8Array): void {
    this.#host.counters.add("originBytes", chunk.length);
    this.#take(chunk);
  }

  #take(chunk: Uint8Array): void {
    this.#body?.append(chunk);
    this.#endIfUnwanted(); // it may have outgrown the tiers, with no reader left
    this.#serveReadersSoon();
  }

  onEnd(trailers: Fields | undefined): void {
    if (this.#originMs !== undefined) this.#host.originTimes.total.add(this.#host.monotonicMs() - this.#askedMs);
    if (this.#isOver) return;
    this.#end();
    const body = this.#body!;
    const response = this.#response!;
    if (this.#ask.kind === "rest" && response.part !== undefined && body.bytes !== bytesIn(response.part)) {
      return this.#fail("cut-short"); // it has brought another length than it said, in the middle of a body
    }
    body.retain(); // for those who waited for its length, and begin to read it only when it is in the store
    this.#keep(response, body);
    const bodyBytes = this.#bodyStart + body.bytes;
    if (response.bodyBytes !== bodyBytes) this.#response = { ...response, bodyBytes };
    // RFC 9111 section 3.1: apart from the head, or not at all. What is stored has none.
    const section = trailers === undefined ? undefined : new Uint8Array(Buffer.from(trailers.render(), "latin1"));
    for (const transfer of this.#readers.list()) transfer.lengthKnown(bodyBytes, section);
    for (const transfer of this.#lengthWanted.list()) {
      this.#lengthWanted.delete(transfer);
      this.#attach(transfer);
    }
    body.release();
    this.#serveReaders();
  }

  onError(error: OriginError): void {
    if (this.#isOver) return;
    const { counters, log } = this.#host;
    counters.add("originErrors");
    log({ level: "warn", message: error.message, code: error.code, target: this.request.target });
    if (this.#response === undefined) {
      const selected = this.#selected;
      const stale = selected !== undefined && this.#serveStale(selected, { kind: "unreachable" }, undefined);
      this.#end();
      const refusal = refusalOf(error, selected);
      if (!stale) for (const transfer of this.#waiting.list()) this.#host.refuse(transfer, refusal);
      return;
    }
    this.#end();
    this.#fail(refusalOf(error, undefined));
  }

  /** The stored response that would have been the answer, if it were fresh. */
  get #selected(): StoredResponse | undefined {
    const ask = this.#ask;
    return ask.kind === "whole" || ask.kind === "range" ? ask.selected : undefined;
  }

  /** What came can not be finished: readers see that, and it is not kept. */
  #fail(refusal: Refusal): void {
    this.#failed = true;
    this.#body?.abandon();
    for (const transfer of this.#lengthWanted.list()) this.#host.refuse(transfer, refusal);
    this.#serveReaders();
  }

  /** Decides what the response is to us: kept or passing. */
  #begin(head: ResponseHead, framing: Framing): void {
    const { status } = head;
    const times = this.#times();
    const endToEnd = withDate(endToEndFields(head.fields), times.responseTimeMs);
    const message = { status, fields: endToEnd };
    const variant = variantOf(this.request, endToEnd, this.request.rule?.headers);
    const isPart = status === 206;
    // A 206 that was not asked for is passed on, and is no answer to anything else (CHECKLIST 41).
    const mayKeep = this.mode !== "pass" && !this.#isPurged && (!isPart || this.#ask.kind === "range");
    const judged = storable(this.request, message, this.request.rule);
    const allowed = mayKeep && variant !== undefined && judged.storable;
    const bodyBytes = bodyBytesOf(this.request.method, head, framing);
    this.#body = new GrowingBody(this.#host.storage, bodyBytes, allowed);
    this.#mayStore = this.#body.tier !== undefined;
    this.#response = {
      status,
      fields: endToEnd,
      variant,
      freshness: freshnessOf(message, times.requestTimeMs, times.responseTimeMs, this.request.rule),
      headBlock: renderHeadBlock(this.#withTrailer(endToEnd, head, framing), "theirs"),
      body: this.#body,
      bodyBytes,
      responseTimeMs: times.responseTimeMs,
      // Of a part too: that was asked for without the client's conditions.
      reusable: this.mode !== "pass",
      part: isPart ? parseContentRange(endToEnd) : undefined,
    };
    if (this.mode === "pass") return;
    this.#rememberFate(status, judged);
    if (!this.#mayStore || isPart || (bodyBytes ?? Number.POSITIVE_INFINITY) > AWAITED_BYTES_MAX)
      this.#sharedSource?.takeLease()?.pass();
    this.#host.rememberVary(this.key, variant?.varyNames ?? []);
    const isForOne = !this.#mayStore && this.mode === "shared" && !this.#isPurged;
    if (!isForOne || !speaksOfResource(status)) return;
    this.#host.rememberPass(this.key);
    if (!judged.storable) this.#dropSuperseded(judged.reason);
  }

  /** The origin has given another response in place of the stale one, which is never to be stored: so nobody gets the old one instead, as long as that may be used stale. */
  #dropSuperseded(reason: NotStorableReason): void {
    const selected = this.#selected;
    const { storage } = this.#host;
    // What one client's request keeps from being stored, or its credentials may have, says nothing to others.
    if (reason === "request-no-store" || this.request.fields.has("authorization")) return;
    if (selected !== undefined && storage.has(selected)) storage.invalidate(this.key, selected);
    const unusable = this.#sharedSource?.unusable;
    const isIts = unusable !== undefined && isFor(this.request, unusable.variant, unusable.fields);
    this.#dropShared(selected ?? (isIts ? unusable : undefined));
  }

  /** What has been dropped here comes back from no other node. */
  #dropShared(dropped: Pick<StoredResponse, "variant"> | undefined): void {
    if (dropped !== undefined) this.#host.shared?.superseded({ key: this.key, variant: dropped.variant });
  }

  /** For an operator who asks why it is not stored. */
  #rememberFate(status: number, judged: Storable): void {
    const other = this.#isPurged ? "purged" : status === 206 && this.#ask.kind !== "range" ? "unasked-part" : "no-room";
    const reason: NotStoredReason = judged.storable ? other : judged.reason;
    const fate = this.#mayStore ? undefined : { atMs: this.#host.nowMs(), status, reason };
    this.#host.rememberFate(this.key, fate);
  }

  /** RFC 9110 section 6.6.2: which trailers may come, for whoever asked and takes them. */
  #withTrailer(endToEnd: Fields, { fields }: ResponseHead, { kind }: Framing): Fields {
    if (kind !== "chunked" || !fields.has("trailer") || this.#leader?.request.takesTrailers !== true) return endToEnd;
    return Fields.from([...endToEnd, ...fields.all("trailer").map((names) => ["Trailer", names] as const)]);
  }

  /** RFC 9111 section 3.4: what was missing arrives, of the same representation; false when it can not be joined. */
  #beginRest({ stored, missing }: Extract<FillAsk, { kind: "rest" }>, head: ResponseHead, framing: Framing): boolean {
    const times = this.#times();
    const newer = withDate(endToEndFields(head.fields), times.responseTimeMs);
    const part = parseContentRange(newer);
    const { parts } = stored;
    if (parts === undefined || part === undefined || part.completeBytes !== stored.bodyBytes) return false;
    if (part.start !== missing.start || part.end !== missing.end) return false;
    if (framing.kind === "length" && framing.bytes !== bytesIn(part)) return false;
    if (this.#isPurged || !this.#host.storage.has(stored)) return false;
    if (!sameStrongValidator(stored.fields, newer, times.responseTimeMs)) return false;
    if (renewalOf(stored, newer, this.request, times.responseTimeMs) !== "stored") return false;
    this.#host.storage.renewed(stored);
    freshen(stored, newer, times, this.request.rule);
    this.#body = new GrowingBody(this.#host.storage, bytesIn(part), true);
    this.#bodyStart = missing.start;
    this.#mayStore = this.#body.tier !== undefined;
    const body = parts.view({ start: missing.start, body: this.#body });
    const { variant, freshness } = stored;
    this.#response = { ...availableFrom(stored), variant, freshness, body, loan: undefined, part };
    return true;
  }

  /** Everybody who waited gets the response, or looks for another one. */
  #attachWaiting(): void {
    const waiting = this.#waiting.list();
    this.#waiting.clear();
    for (const transfer of waiting) {
      if (transfer === this.#leader) this.#attach(transfer);
      // After a purge they may still share what another fill brings.
      else if (!this.#mayStore && !this.#isPurged) this.#host.goAlone(transfer);
      // Who waited has asked before the response came: fresher than that nothing is.
      else if (this.#mayStore && this.#isFor(transfer.request, NO_DIRECTIVES)) this.#attach(transfer);
      else this.#host.decide(transfer, this);
    }
    this.#endIfUnwanted();
  }

  #attach(transfer: Transfer): void {
    const response = this.#response!;
    const isOver = this.#isOver;
    const outcome = this.#host.attach(
      transfer,
      transfer === this.#leader ? response : this.#sharedResponse(response),
      this.#handling(transfer, response.status),
      isOver ? undefined : this,
    );
    if (outcome === "length-wanted") this.#lengthWanted.add(transfer);
    else if (outcome === "attached" && isOver) this.#host.serve(transfer);
    else if (outcome === "attached") {
      this.#readers.add(transfer);
      this.#serveReadersSoon();
    }
  }

  /** What others than the one who asked may see: RFC 9111 section 5.2.2.7, fields that are private to that one. */
  #sharedResponse(response: Available): Available {
    this.#shared ??= (() => {
      const fields = fieldsToStore(response.fields);
      return { fields, headBlock: renderHeadBlock(fields, "ours") };
    })();
    return { ...response, ...this.#shared };
  }

  #handling(transfer: Transfer, status: number): Handling {
    const { freshness } = this.#response!;
    if (this.#sharedSource?.found !== undefined) return this.#sharedSource.handling(freshness);
    // Whoever asked gets the origin's Age as it came; who joined, or gets stored bytes too, gets it as it is now.
    const passes = transfer === this.#leader && this.#bodyStart === 0;
    return {
      verdict: this.#reason,
      ageSeconds: passes ? undefined : Math.floor(currentAgeMs(freshness, this.#host.nowMs()) / 1000),
      ttlSeconds: undefined,
      forwardStatus: this.#bodyStart > 0 ? 206 : status,
      stored: this.#mayStore,
      collapsed: transfer !== this.#leader,
      hotVersion: undefined,
      hasCacheStatus: false,
      originMs: this.#originMs,
    };
  }

  /** RFC 9111 section 4.3.4: a stored response is good again, which need not be the one that was selected. */
  #notModified(ask: Extract<FillAsk, { kind: "whole" }>, head: ResponseHead): void {
    this.#end();
    const waiting = this.#waiting.list();
    this.#waiting.clear();
    if (!this.#isConditional) {
      // It answers a condition that nobody set: there is nothing to be had from it.
      for (const transfer of waiting) this.#host.refuse(transfer, "origin-error");
      return;
    }
    const known = [...ask.candidates, ...(ask.selected === undefined ? [] : [ask.selected])];
    const renewed = renewByNotModified(this.#host.storage, known, endToEndFields(head.fields), this.#validation);
    if (renewed.length === 0) return this.#host.askForWhole(waiting, this.#reason);
    this.#host.counters.add("revalidations");
    for (const transfer of waiting) {
      const found = renewed.findLast(({ response, isForOthers }) => {
        const mayHave = isForOthers || transfer === this.#leader;
        return mayHave && isFor(transfer.request, response.variant, response.fields);
      });
      if (found !== undefined) this.#attachStored(transfer, found.response, 304);
      else if (renewed.every(({ isForOthers }) => isForOthers)) this.#host.decide(transfer, this);
      else this.#host.goAlone(transfer);
    }
    for (const { drop } of renewed) this.#dropShared(drop());
    for (const { response } of renewed) this.#sharedSource?.renewed(response);
  }

  /** RFC 9111 section 4.3.5: what a 200 to HEAD says of a stored response; true when that is the answer. */
  #headSays(stored: StoredResponse, head: ResponseHead): boolean {
    if (head.status !== 200 || this.#isPurged || !this.#host.storage.has(stored)) return false;
    const newer = endToEndFields(head.fields);
    if (headEffect(stored.fields, newer, isWhole(stored) ? stored.bodyBytes : undefined) === "invalidate") {
      this.#host.storage.renewed(stored);
      stored.freshness = madeStale(stored.freshness, this.#host.nowMs());
      this.#dropShared(stored);
      return false;
    }
    this.#end();
    const renewed = renew(this.#host.storage, stored, newer, this.#validation, true);
    const waiting = this.#waiting.list();
    this.#waiting.clear();
    for (const transfer of waiting) this.#attachStored(transfer, renewed.response, head.status);
    this.#dropShared(renewed.drop());
    return true;
  }

  /** RFC 5861 section 4, RFC 9111 section 4.2.4: what is stale may be better than nothing, and the origin gets some rest. */
  #serveStale(stored: StoredResponse, failure: OriginFailure, head: ResponseHead | undefined): boolean {
    const nowMs = this.#host.nowMs();
    const doubtful = isDoubtful(stored, this.#host.shared?.validFrom ?? 0);
    const mayHave = (request: ClientRequest) =>
      reuseOnError(stored.freshness, requestControl(request), failure, nowMs, doubtful).use === "stale";
    if (!mayHave(this.request)) return false;
    this.#host.storage.adopt(stored);
    stored.quietUntilMs = nowMs + quietMs(head?.fields.get("retry-after"), nowMs);
    const forwardStatus = failure.kind === "status" ? failure.status : undefined;
    const waiting = this.#waiting.list();
    this.#waiting.clear();
    for (const transfer of waiting) {
      const { request } = transfer;
      if (transfer === this.#leader || (isFor(request, stored.variant, stored.fields) && mayHave(request)))
        this.#attachStored(transfer, stored, forwardStatus);
      else this.#host.decide(transfer, this);
    }
    return true;
  }

  #attachStored(transfer: Transfer, stored: StoredResponse, forwardStatus: number | undefined): void {
    const nowMs = this.#host.nowMs();
    this.#host.storage.adopt(stored);
    const handling: Handling = {
      verdict: this.#reason,
      ageSeconds: Math.floor(currentAgeMs(stored.freshness, nowMs) / 1000),
      ttlSeconds: Math.floor(ttlMs(stored.freshness, nowMs) / 1000),
      forwardStatus,
      stored: false,
      collapsed: transfer !== this.#leader,
      hotVersion: undefined,
      hasCacheStatus: false,
      originMs: this.#originMs,
    };
    this.#host.attach(transfer, availableFrom(stored), handling, undefined);
    this.#host.serve(transfer);
  }

  #askForWhole(): void {
    this.#giveUp();
    const waiting = this.#waiting.list();
    this.#waiting.clear();
    this.#host.askForWhole(waiting, this.#reason);
  }

  /** The body is whole: it goes into the store, if it may and has found room. */
  #keep(response: Arriving, body: GrowingBody): void {
    const { variant } = response;
    const { tier } = body;
    const { storage } = this.#host;
    if (tier === undefined || variant === undefined || this.#isPurged) return body.abandon();
    if (this.#ask.kind === "rest" && this.#bodyStart > 0) keepRest(storage, this.#ask.stored, response, body);
    else {
      const { request } = this;
      const requestTimeMs = this.#requestTimeMs;
      const found = this.#sharedSource?.found;
      const { filledAfter, sharedAs } = found ?? { filledAfter: this.#filledAfter, sharedAs: 0 };
      const arrived = { request, requestTimeMs, response, variant, body, tier, filledAfter, sharedAs };
      const stored = keepArrived(storage, arrived);
      if (stored !== undefined && found === undefined)
        this.#host.shared?.offer(stored, this.#sharedSource?.takeLease(), () => storage.has(stored));
    }
    body.settle();
  }

  #decideAnew(): void {
    this.#end();
    const waiting = this.#waiting.list();
    this.#waiting.clear();
    for (const transfer of waiting) {
      this.#host.decide(transfer, this);
      this.#host.serve(transfer);
    }
  }

  /**
   * Whether others than who asked may have the response: only if they might, were it stored already (RFC 9111 section 4, on collapsing requests).
   * What is stale as it comes, or `no-cache`, is validated for them.
   */
  #isFor(request: ClientRequest, control: CacheControl): boolean {
    const { variant, fields, freshness } = this.#response!;
    if (variant === undefined || !isFor(request, variant, fields)) return false;
    const { use } = reuse(freshness, control, this.#host.nowMs());
    return use === "fresh" || use === "stale";
  }

  get #validation(): Validation {
    const { request } = this;
    return { request, times: this.#times(), isPurged: this.#isPurged, filledAfter: this.#filledAfter };
  }

  #times(): ExchangeTimes {
    return { requestTimeMs: this.#requestTimeMs, responseTimeMs: this.#host.nowMs() };
  }

  /** Back-pressure for a body that is not kept: it runs so far ahead of its slowest reader and no farther. */
  #control(): void {
    const body = this.#body;
    if (body === undefined || body.tier !== undefined) return;
    let slowest = this.#lengthWanted.size > 0 ? 0 : body.bytes;
    for (const transfer of this.#readers.list())
      slowest = Math.min(slowest, Math.max(0, transfer.bodyPosition - this.#bodyStart));
    body.dropBefore(slowest);
    const aheadBytes = body.bytes - slowest;
    const { windows } = this.#host.storage;
    if (this.#lengthWanted.size > 0) {
      if (!windows.mayHoldBack(aheadBytes))
        for (const transfer of this.#lengthWanted.list()) this.#host.refuse(transfer, "length-unknown");
    } else if (aheadBytes > windows.aheadBytesMax) {
      this.#exchange?.pause();
      this.#isHeldUp = true;
    } else if (aheadBytes < windows.aheadBytesMax / 2) {
      this.#exchange?.resume();
      this.#isHeldUp = false;
    }
    // Also in between, where the origin is not read on yet: a reader may stand still there as well.
    if (this.#isHeldUp) this.#watchSlowest(slowest);
  }

  #watchSlowest(at: number): void {
    if (this.#holdsUp?.at === at || this.#readers.size < 2) return;
    clearTimeout(this.#holdsUp?.timer);
    this.#holdsUp = { at, timer: setTimeout(() => this.#cutOff(at), HOLDS_UP_MS) };
  }

  /** Those who still are where they were, if that is what others wait for. */
  #cutOff(at: number): void {
    this.#holdsUp = undefined;
    const body = this.#body;
    if (this.#isOver || body === undefined) return;
    const positions = this.#readers
      .list()
      .map((transfer) => ({ transfer, position: transfer.bodyPosition - this.#bodyStart }));
    if (!positions.some(({ position }) => position >= body.bytes)) return this.#control();
    for (const { transfer, position } of positions) {
      if (position > at) continue;
      this.#readers.delete(transfer);
      this.#host.refuse(transfer, "cut-short");
    }
    this.#control();
  }

  /** Once all that one read of the origin's socket brought is in: head and body then leave in one portion. */
  #serveReadersSoon(): void {
    if (this.#serving) return;
    this.#serving = true;
    queueMicrotask(() => {
      this.#serving = false;
      this.#serveReaders();
    });
  }

  #serveReaders(): void {
    for (const transfer of this.#readers.list()) this.#host.serve(transfer);
  }

  #giveUp(): void {
    this.#exchange?.abort();
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#holdsUp?.timer);
    this.#host.ended(this);
    // Whoever waits for what this node was to bring looks again, unless it is being written.
    if (this.#sharedSource !== undefined) queueMicrotask(() => this.#sharedSource?.takeLease()?.release());
  }
}

/** Whether others will be told the same: not an error, which one client's odd request may have provoked, or which passes (CHECKLIST 36). */
function speaksOfResource(status: number): boolean {
  return status < 400 || status === 404 || status === 410;
}
