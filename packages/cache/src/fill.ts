import type { OriginError, OriginExchange, OriginHandler } from "@proj/origin";
import {
  cacheTags,
  currentAgeMs,
  type Fields,
  type Framing,
  freshnessOf,
  headEffect,
  madeStale,
  NO_DIRECTIVES,
  type OriginFailure,
  parseContentRange,
  type Refusal,
  type ResponseHead,
  receivedFields,
  ttlMs,
  type Verdict,
  withDate,
} from "@proj/protocol";
import { Arrival } from "./arrival.ts";
import { type Arriving, bytesIn, isFor, speaksOfResource } from "./arriving.ts";
import type { BodyOrigin } from "./body-readers.ts";
import type { ClientRequest } from "./client-request.ts";
import { askFields, type FillAsk } from "./fill-ask.ts";
import type { FillHost, FillMode, FillStart } from "./fill-host.ts";
import { answerAmong, type ExchangeTimes, freshen, renew, renewByNotModified, type Validation } from "./freshening.ts";
import { GrowingBody } from "./growing-body.ts";
import { renderHeadBlock, renderInterim } from "./head-block.ts";
import { concernsOthers, judge, restIn, whyNotKept, withTrailer } from "./judgement.ts";
import { keepArrived, keepRest } from "./keeping.ts";
import type { KeyMatch } from "./key-selector.ts";
import { quietMs, refusalOf } from "./origin-failure.ts";
import { availableFrom, type Handling } from "./reply.ts";
import { isGoodOnError, isWhole, requestControl } from "./selection.ts";
import type { SharedSource } from "./shared/shared-source.ts";
import { SmallSet } from "./small-set.ts";
import type { StoredResponse } from "./stored-response.ts";
import type { Source, Transfer } from "./transfer.ts";

/** Other nodes do not wait for a body that is longer: it takes too long to be shared. */
const AWAITED_BYTES_MAX = 8 * 1024 * 1024;

/** One request to the origin and what becomes of its response: it is stored while the transfers that wait for it are served. */
export class Fill implements Source, OriginHandler, BodyOrigin {
  readonly key: string;
  readonly mode: FillMode;
  readonly request: ClientRequest;
  readonly #host: FillHost;
  readonly #ask: FillAsk;
  readonly #reason: Verdict;
  /** Whose request this is; undefined for one in the background. */
  readonly #leader: Transfer | undefined;
  readonly #waiting = new SmallSet<Transfer>();
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
  #arrival: Arrival | undefined;
  #isPurged = false;
  #isOver = false;
  #failed = false;

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
    return this.#arrival?.body.tier !== undefined;
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
        this.#arrives(arriving, body, 0);
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
    const arrival = this.#arrival;
    if (arrival === undefined) return true;
    return arrival.body.tier !== undefined && arrival.isFor(request, requestControl(request));
  }

  join(transfer: Transfer): void {
    if (this.#sharedSource?.found !== undefined) this.#host.counters.add("hits");
    else if (!this.isSearching) this.#host.counters.add("collapsed");
    if (this.#arrival === undefined) this.#waiting.add(transfer);
    else this.#arrival.attach(transfer);
  }

  /** `transfer` is over, from whatever cause. */
  leave(transfer: Transfer): void {
    this.#waiting.delete(transfer);
    this.#arrival?.readers.delete(transfer);
    this.#endIfUnwanted();
  }

  /** A purge, or an invalidation, has been: if it concerns this response, or may, nobody who comes later gets it. */
  purged(matches: KeyMatch): void {
    const tags = this.#arrival === undefined ? undefined : cacheTags(this.#arrival.response.fields);
    if (!matches(this.key, tags)) return;
    this.#isPurged = true;
    this.#endIfUnwanted();
  }

  progressed(): void {
    if (!this.#isOver) this.#arrival?.readers.control();
  }

  pause(): void {
    this.#exchange?.pause();
  }

  resume(): void {
    this.#exchange?.resume();
  }

  /** Nobody waits for it and it is not kept: the origin need not go on. */
  #endIfUnwanted(): void {
    if (this.#isOver) return;
    const arrival = this.#arrival;
    const wanted = this.#waiting.size + (arrival?.readers.size ?? 0) > 0;
    const mayKeep = arrival === undefined ? this.mode === "shared" : arrival.body.tier !== undefined;
    if (wanted || (mayKeep && !this.#isPurged)) return arrival?.readers.control();
    this.#giveUp();
    arrival?.body.abandon();
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
    this.#arrival?.body.append(chunk);
    this.#endIfUnwanted(); // it may have outgrown the tiers, with no reader left
    this.#arrival?.readers.serveSoon();
  }

  onEnd(trailers: Fields | undefined): void {
    if (this.#originMs !== undefined) this.#host.originTimes.total.add(this.#host.monotonicMs() - this.#askedMs);
    if (this.#isOver) return;
    this.#end();
    const arrival = this.#arrival!;
    const { body, response } = arrival;
    if (this.#ask.kind === "rest" && response.part !== undefined && body.bytes !== bytesIn(response.part)) {
      return this.#fail("cut-short"); // it has brought another length than it said, in the middle of a body
    }
    body.retain(); // for those who waited for its length, and begin to read it only when it is in the store
    this.#keep(arrival);
    arrival.whole(trailers);
    body.release();
    arrival.readers.serve();
  }

  onError(error: OriginError): void {
    if (this.#isOver) return;
    const { counters, log } = this.#host;
    counters.add("originErrors");
    log({ level: "warn", message: error.message, code: error.code, target: this.request.target });
    if (this.#arrival === undefined) {
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
    this.#arrival?.body.abandon();
    this.#arrival?.readers.cut(refusal);
  }

  /** @param bodyStart Where what comes begins in the body that readers see. */
  #arrives(response: Arriving, body: GrowingBody, bodyStart: number): Arrival {
    const provenance = {
      reason: this.#reason,
      leader: this.#leader,
      originMs: this.#originMs,
      sharedSource: this.#sharedSource,
    };
    this.#arrival = new Arrival(this.#host, this, provenance, response, body, bodyStart);
    return this.#arrival;
  }

  /** A response begins: it is kept or passing. */
  #begin(head: ResponseHead, framing: Framing): void {
    const { status } = head;
    const { request, mode } = this;
    const times = this.#times();
    const endToEnd = withDate(receivedFields(head), times.responseTimeMs);
    const asked = { request, mode, ask: this.#ask, isPurged: this.#isPurged };
    const { variant, bodyBytes, storable: judged, mayKeep } = judge(asked, head, framing, endToEnd);
    const body = new GrowingBody(this.#host.storage, bodyBytes, mayKeep);
    const isPart = status === 206;
    const response: Arriving = {
      status,
      fields: endToEnd,
      variant,
      freshness: freshnessOf({ status, fields: endToEnd }, times.requestTimeMs, times.responseTimeMs, request.rule),
      headBlock: renderHeadBlock(withTrailer(endToEnd, head, framing, this.#leader?.request), "theirs"),
      body,
      bodyBytes,
      responseTimeMs: times.responseTimeMs,
      // Of a part too: that was asked for without the client's conditions.
      reusable: mode !== "pass",
      part: isPart ? parseContentRange(endToEnd) : undefined,
    };
    const { mayStore } = this.#arrives(response, body, 0);
    if (mode === "pass") return;
    const reason = mayStore ? undefined : whyNotKept(asked, judged, status);
    this.#host.rememberFate(this.key, reason && { atMs: this.#host.nowMs(), status, reason });
    if (!mayStore || isPart || (bodyBytes ?? Number.POSITIVE_INFINITY) > AWAITED_BYTES_MAX)
      this.#sharedSource?.takeLease()?.pass();
    if (speaksOfResource(status)) this.#host.rememberVary(this.key, variant?.varyNames ?? []);
    const isForOne = !mayStore && mode === "shared" && !this.#isPurged;
    if (!isForOne || !speaksOfResource(status)) return;
    this.#host.rememberPass(this.key);
    if (!judged.storable && concernsOthers(judged.reason, request)) this.#dropSuperseded();
  }

  /** The origin has given another response in place of the stale one, which is never to be stored: so nobody gets the old one instead, as long as that may be used stale. */
  #dropSuperseded(): void {
    const selected = this.#selected;
    const { storage } = this.#host;
    if (selected !== undefined && storage.has(selected)) storage.invalidate(this.key, selected);
    const unusable = this.#sharedSource?.unusable;
    const isIts = unusable !== undefined && isFor(this.request, unusable.variant, unusable.fields);
    this.#dropShared(selected ?? (isIts ? unusable : undefined));
  }

  /** What has been dropped here comes back from no other node. */
  #dropShared(dropped: Pick<StoredResponse, "variant"> | undefined): void {
    if (dropped !== undefined) this.#host.shared?.superseded({ key: this.key, variant: dropped.variant });
  }

  /** RFC 9111 section 3.4: what was missing arrives, of the same representation; false when it can not be joined. */
  #beginRest({ stored, missing }: Extract<FillAsk, { kind: "rest" }>, head: ResponseHead, framing: Framing): boolean {
    const times = this.#times();
    const newer = withDate(receivedFields(head), times.responseTimeMs);
    const { parts } = stored;
    const part = restIn(stored, missing, newer, framing, this.request, times.responseTimeMs);
    if (parts === undefined || part === undefined || this.#isPurged || !this.#host.storage.has(stored)) return false;
    this.#host.storage.renewed(stored);
    freshen(stored, newer, times, this.request.rule);
    const rest = new GrowingBody(this.#host.storage, bytesIn(part), true);
    const body = parts.view({ start: missing.start, body: rest });
    const { variant, freshness } = stored;
    const response = { ...availableFrom(stored), variant, freshness, body, loan: undefined, part };
    this.#arrives(response, rest, missing.start);
    return true;
  }

  /** Everybody who waited gets the response, or looks for another one. */
  #attachWaiting(): void {
    const arrival = this.#arrival!;
    const { mayStore } = arrival;
    for (const transfer of this.#waiting.take()) {
      if (transfer === this.#leader) arrival.attach(transfer);
      // After a purge they may still share what another fill brings.
      else if (!mayStore && !this.#isPurged) this.#host.goAlone(transfer);
      // Who waited has asked before the response came: fresher than that nothing is.
      else if (mayStore && arrival.isFor(transfer.request, NO_DIRECTIVES)) arrival.attach(transfer);
      else this.#host.decide(transfer, this);
    }
    this.#endIfUnwanted();
  }

  /** RFC 9111 section 4.3.4: a stored response is good again, which need not be the one that was selected. */
  #notModified(ask: Extract<FillAsk, { kind: "whole" }>, head: ResponseHead): void {
    this.#end();
    const waiting = this.#waiting.take();
    if (!this.#isConditional) {
      // It answers a condition that nobody set: there is nothing to be had from it.
      for (const transfer of waiting) this.#host.refuse(transfer, "origin-error");
      return;
    }
    const known = [...ask.candidates, ...(ask.selected === undefined ? [] : [ask.selected])];
    const renewed = renewByNotModified(this.#host.storage, known, receivedFields(head), this.#validation);
    if (renewed.length === 0) return this.#host.askForWhole(waiting, this.#reason);
    this.#host.counters.add("revalidations");
    for (const transfer of waiting) {
      const answer = answerAmong(renewed, transfer.request, transfer === this.#leader);
      if (answer === "look-again") this.#host.decide(transfer, this);
      else if (answer === "alone") this.#host.goAlone(transfer);
      else this.#attachStored(transfer, answer, 304);
    }
    for (const { drop } of renewed) this.#dropShared(drop());
    for (const { response } of renewed) this.#sharedSource?.renewed(response);
  }

  /** RFC 9111 section 4.3.5: what a 200 to HEAD says of a stored response; true when that is the answer. */
  #headSays(stored: StoredResponse, head: ResponseHead): boolean {
    if (head.status !== 200 || this.#isPurged || !this.#host.storage.has(stored)) return false;
    const newer = receivedFields(head);
    if (headEffect(stored.fields, newer, isWhole(stored) ? stored.bodyBytes : undefined) === "invalidate") {
      this.#host.storage.renewed(stored);
      stored.freshness = madeStale(stored.freshness, this.#host.nowMs());
      this.#dropShared(stored);
      return false;
    }
    this.#end();
    const renewed = renew(this.#host.storage, stored, newer, this.#validation, true);
    for (const transfer of this.#waiting.take()) this.#attachStored(transfer, renewed.response, head.status);
    this.#dropShared(renewed.drop());
    return true;
  }

  /** RFC 5861 section 4, RFC 9111 section 4.2.4: what is stale may be better than nothing, and the origin gets some rest. */
  #serveStale(stored: StoredResponse, failure: OriginFailure, head: ResponseHead | undefined): boolean {
    const nowMs = this.#host.nowMs();
    const validFrom = this.#host.shared?.validFrom ?? 0;
    const mayHave = (request: ClientRequest) => isGoodOnError(stored, request, failure, nowMs, validFrom);
    if (!mayHave(this.request)) return false;
    this.#host.storage.adopt(stored);
    stored.quietUntilMs = nowMs + quietMs(head?.fields.get("retry-after"), nowMs);
    const forwardStatus = failure.kind === "status" ? failure.status : undefined;
    for (const transfer of this.#waiting.take()) {
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
    this.#host.askForWhole(this.#waiting.take(), this.#reason);
  }

  /** The body is whole: it goes into the store, if it may and has found room. */
  #keep({ response, body, bodyStart }: Arrival): void {
    const { variant } = response;
    const { tier } = body;
    const { storage } = this.#host;
    if (tier === undefined || variant === undefined || this.#isPurged) return body.abandon();
    if (this.#ask.kind === "rest" && bodyStart > 0) keepRest(storage, this.#ask.stored, response, body);
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
    for (const transfer of this.#waiting.take()) {
      this.#host.decide(transfer, this);
      this.#host.serve(transfer);
    }
  }

  get #validation(): Validation {
    return { request: this.request, times: this.#times(), isPurged: this.#isPurged, filledAfter: this.#filledAfter };
  }

  #times(): ExchangeTimes {
    return { requestTimeMs: this.#requestTimeMs, responseTimeMs: this.#host.nowMs() };
  }

  #giveUp(): void {
    this.#exchange?.abort();
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#arrival?.end();
    this.#host.ended(this);
    // Whoever waits for what this node was to bring looks again, unless it is being written.
    if (this.#sharedSource !== undefined) queueMicrotask(() => this.#sharedSource?.takeLease()?.release());
  }
}
