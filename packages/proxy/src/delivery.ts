import type { PoolMember, Segment } from "@proj/ipc";
import {
  type Counters,
  NEXT_PAYLOAD_OFFSET,
  type PortionAnswer,
  type ProxyCounter,
  portionCapacity,
  type ResponseAnswer,
  readResponse,
  requestBlockBytes,
  SEGMENT_BODY_OFFSET,
  targetHash,
  type WantedResponse,
} from "@proj/protocol";
import type { AccessRecorder } from "./access-recorder.ts";
import { type Ask, type AskOwner, type CacheClient, mayBeWrittenTo, type Outcome } from "./cache-client.ts";
import { DeliveryWaits } from "./delivery-waits.ts";
import { type HotTier, hotName } from "./hot-tier.ts";
import type { Loan } from "./loan-table.ts";
import type { PassMemory } from "./pass-memory.ts";
import { canAnswer, isInterimHead, newPortion, type Portion, portionOnLoan } from "./portion.ts";
import type { RefusalReason, ResponseSink } from "./response-sink.ts";
import type { SendTurns } from "./send-turns.ts";
import type { Tracing } from "./trace-context.ts";
import { NEW_TRANSFER, nextAsk, type Sending, step, type Transfer, type TransferEvent } from "./transfer.ts";

/** Segments that one transfer may use at a time: one is being sent while the cache fills the other. */
const PORTIONS_IN_FLIGHT = 2;
/** A client that takes nothing for so long gives its segments back when others wait for them. */
export const STALL_MS = 100;

/** What all deliveries of one thread share. */
export interface DeliveryContext {
  readonly cache: CacheClient;
  readonly pool: PoolMember;
  readonly hot: HotTier;
  readonly passes: PassMemory;
  readonly counters: Counters<ProxyCounter>;
  readonly access: AccessRecorder;
  /** Undefined: nothing is traced, and what a client says of a trace passes as it is. */
  readonly tracing: Tracing | undefined;
  /** Of the large bodies that need nobody's help. */
  readonly turns: SendTurns;
  /** Deliveries whose client does not keep up. */
  readonly stalled: Set<Delivery>;
  readonly now: () => number;
}

/** What no answer, or none that makes sense, is to the client. */
const REASON_WITHOUT = { late: "origin-timeout", silent: "cache-away", malformed: "origin-error" } as const;

/** Under what a response is kept. */
export interface ResponseKey {
  /** What of the target is in the cache's key. */
  readonly keyTarget: string;
  /** In the hot tier. */
  readonly hotKey: string;
}

/** Drives one {@link Transfer}: takes segments, asks the cache, and writes what it answers to the sink. */
export class Delivery implements AskOwner {
  readonly #context: DeliveryContext;
  readonly #sink: ResponseSink;
  #wanted: WantedResponse;
  readonly #hotKey: string;
  readonly #hash: number;
  readonly #transferId: number;
  /** Asked for and not yet sent, in the order of the stream. */
  readonly #portions: Portion[] = [];
  #transfer: Transfer = NEW_TRANSFER;
  #shard = 0;
  /** The body, where the cache lent it: given back when the delivery is over. */
  #loan: Loan | undefined;
  #waits: DeliveryWaits | undefined;
  /** The cache may remember this transfer: it has to be told when we are done. */
  #opened = false;
  /** Something went out: there is no way back to an error in the wire's words. */
  #begun = false;
  #awaitingNotice = false;
  #noticed = false;
  #stalledSinceMs: number | undefined;

  constructor(context: DeliveryContext, sink: ResponseSink, wanted: WantedResponse, key: ResponseKey) {
    this.#context = context;
    this.#sink = sink;
    this.#wanted = wanted;
    this.#hotKey = key.hotKey;
    this.#hash = targetHash(key.keyTarget);
    this.#transferId = context.cache.newTransfer();
  }

  get stalled(): boolean {
    return this.#stalledSinceMs !== undefined;
  }

  /** What has begun to go out can only be gone on with by the cache that began it. */
  get canDoWithout(): boolean {
    return this.#transfer.phase !== "sending";
  }

  get done(): boolean {
    return this.#transfer.phase === "done";
  }

  /** Step 2: takes an id from the free queue, at once or in turn. */
  start(): void {
    const { cache } = this.#context;
    if (!cache.attachNow()) return this.#waitFor().forCache();
    if (cache.standsStill(this.#hash)) return this.#fail("cache-away");
    const segment = this.#context.pool.tryTake();
    if (segment !== undefined) this.#useSegment(segment);
    else this.#waitFor().forSegment();
  }

  /** The kernel has room again. */
  drained(): void {
    this.#stalledSinceMs = undefined;
    this.#context.stalled.delete(this);
    if (this.#transfer.phase === "sending") this.#pump();
  }

  /** The connection is gone: everything goes home. */
  clientLeft(): void {
    if (this.done) return;
    this.#step({ type: "client-left" });
    this.#context.counters.add("responsesAborted");
    this.#cleanUp();
  }

  /** Called again and again while the client does not keep up: its segments go to those who wait. */
  giveWay(nowMs: number): void {
    if (this.#transfer.phase !== "sending" || this.#stalledSinceMs === undefined) return;
    if (nowMs - this.#stalledSinceMs < STALL_MS || !this.#context.pool.contended) return;
    const [first] = this.#portions;
    if (first?.range === undefined || !first.holdsSegment) return;
    const sentOfFirst = first.range.start - first.answer!.payloadOffset; // below 0: the head is not all out
    if (this.#transfer.replayable && !this.#sink.framesBody && sentOfFirst >= 0) this.#park(sentOfFirst);
    else this.#copyOut();
  }

  answered(ask: Ask, outcome: Outcome): void {
    const { pool, counters } = this.#context;
    const portion = this.#portions.find((one) => one.ask === ask); // none: parked, or over
    if (mayBeWrittenTo(outcome)) {
      counters.add("segmentsReplaced");
      pool.replace(ask.segment); // whoever is late, or wrote nonsense, may write again
      if (portion !== undefined) this.#failWithout(portion, REASON_WITHOUT[outcome.kind]);
    } else if (outcome.kind === "portion" && portion !== undefined) {
      portion.answer = outcome;
      this.#takeInOrder();
    } else {
      pool.giveBack(ask.segment);
      if (portion !== undefined) this.#unanswered(portion, outcome);
    }
  }

  noticed(): void {
    this.#awaitingNotice = false;
    if (this.#transfer.phase === "sending") return this.#pump();
    this.#noticed = true;
    this.start();
  }

  lost(): void {
    this.#cacheLost();
  }

  #unanswered(portion: Portion, outcome: Outcome): void {
    if (outcome.kind === "lost") this.#cacheLost();
    else if (outcome.kind === "refusal" && outcome.refusal === "pending") this.#pending(portion);
    else if (outcome.kind === "refusal") this.#failWithout(portion, outcome.refusal);
  }

  #failWithout(portion: Portion, reason: RefusalReason): void {
    this.#portions.splice(this.#portions.indexOf(portion), 1);
    this.#fail(reason);
  }

  #step(event: TransferEvent): void {
    this.#transfer = step(this.#transfer, event);
  }

  #waitFor(): DeliveryWaits {
    this.#waits ??= new DeliveryWaits(this.#context, {
      isOver: () => this.done,
      cacheCame: () => this.start(),
      segmentCame: (segment) => this.#useSegment(segment),
      inVain: (reason) => this.#fail(reason),
    });
    return this.#waits;
  }

  /** Steps 3 and 4 with a segment in hand. */
  #useSegment(segment: Segment): void {
    const { cache, pool } = this.#context;
    if (this.#transfer.phase === "sending") return this.#askWith(segment);
    if (!cache.attached) {
      pool.giveBack(segment);
      return this.#waitFor().forCache();
    }
    if (cache.standsStill(this.#hash)) {
      pool.giveBack(segment);
      return this.#fail("cache-away");
    }
    if (SEGMENT_BODY_OFFSET + requestBlockBytes(this.#wanted) > segment.bytes.length) {
      pool.giveBack(segment);
      return this.#fail("request-too-large");
    }
    const reading = this.#noticed;
    this.#noticed = false;
    this.#step({ type: "segment-taken" });
    const capacity = portionCapacity(segment.bytes.length, NEXT_PAYLOAD_OFFSET);
    const ask = reading
      ? cache.read(segment, this.#shard, this.#transferId, 0, capacity, this)
      : cache.open(segment, this.#transferId, this.#wanted, this.#hash, this);
    this.#shard = ask!.shard;
    this.#opened = true;
    this.#portions.push(newPortion(ask!, 0));
  }

  /** Takes the portions that have arrived, in the order of the stream; the cache's answers may be seen in another. */
  #takeInOrder(): void {
    for (const portion of this.#portions) {
      if (portion.answer === undefined) break;
      if (portion.range === undefined && !this.#take(portion, portion.answer)) return;
    }
    this.#pump();
  }

  /** False when the delivery is over with it. */
  #take(portion: Portion, answer: PortionAnswer): boolean {
    const sending = this.#transfer.phase === "sending" ? this.#transfer : undefined;
    if (!canAnswer(portion, answer, sending, this.#wanted.acceptsLoan)) return this.#failMalformed();
    let endBytes: number | undefined;
    let first: ResponseAnswer | undefined;
    if (this.#transfer.phase === "waiting-for-cache") {
      const response = readResponse(portion.ask.segment.i32);
      if (response === undefined) return this.#failMalformed();
      if (response.status < 200) return this.#passInterim(portion, response.status, answer);
      this.#opened = answer.open;
      if (response.pass !== undefined) this.#context.passes.remember(this.#hotKey, this.#hash, response.pass);
      if (answer.loan !== undefined && !this.#borrow(portion, answer, answer.loan)) return false;
      if (!this.#sink.begin(response, answer)) return this.#failMalformed();
      first = response;
      const hasBody = this.#wanted.method === "GET" && answer.bodyBytes !== undefined;
      endBytes = hasBody ? response.headBytes + answer.bodyBytes! : undefined;
    }
    const { bytes, last, open, replayable, availableBytes } = answer; // named, since a spread takes longer than all the rest of a step
    this.#step({ type: "portion", bytes, last, open, replayable, availableBytes, endBytes });
    if (this.done) return this.#failMalformed();
    portion.range = this.#sink.frame(portion.bytes, answer);
    this.#context.counters.add("portions");
    if (answer.loan !== undefined && this.#loan !== undefined) this.#takeLoan(portion, answer, this.#loan);
    if (this.done) return this.#failMalformed();
    // Only what ends where it said that it would.
    if (first !== undefined && (last || this.#loan !== undefined)) this.#keepHot(portion, first, answer);
    return true;
  }

  /** What comes before the response; then the stream is asked for again. */
  #passInterim(portion: Portion, status: number, { payloadOffset, bytes }: PortionAnswer): false {
    const { cache, pool } = this.#context;
    const { segment } = portion.ask;
    const message = portion.bytes.subarray(payloadOffset, payloadOffset + bytes);
    if (!isInterimHead(message, status)) return this.#failMalformed();
    this.#sink.interim(message);
    this.#portions.splice(this.#portions.indexOf(portion), 1);
    const capacity = portionCapacity(segment.bytes.length, NEXT_PAYLOAD_OFFSET);
    const ask = cache.read(segment, this.#shard, this.#transferId, 0, capacity, this);
    if (ask !== undefined) this.#portions.push(newPortion(ask, 0));
    else {
      pool.giveBack(segment);
      this.#cacheLost();
    }
    return false;
  }

  /** False when the body that the cache lent is gone: evicted since. It is asked for again, in portions this time. */
  #borrow(portion: Portion, answer: PortionAnswer, loan: number): boolean {
    this.#loan = this.#context.cache.borrow(portion.ask, loan, answer.bodyBytes ?? 0);
    if (this.#loan !== undefined) return true;
    this.#context.pool.giveBack(portion.ask.segment);
    this.#wanted = { ...this.#wanted, acceptsLoan: false };
    this.#startAgain();
    return false;
  }

  #takeLoan({ ask }: Portion, answer: PortionAnswer, loan: Loan): void {
    const portion = portionOnLoan(ask, answer, loan);
    this.#step({ type: "asked", bytes: portion.answer.bytes });
    this.#step({ type: "portion", ...portion.answer, endBytes: undefined });
    this.#portions.push(portion);
  }

  /** The whole response is in this one portion, and the cache says that it may be kept. */
  #keepHot(portion: Portion, response: ResponseAnswer, answer: PortionAnswer): void {
    const { hotVersion, ageSeconds, ttlSeconds } = response;
    const { bodyBytes, payloadOffset, bytes } = answer;
    if (hotVersion === undefined || ageSeconds === undefined || ttlSeconds === undefined || bodyBytes === undefined)
      return;
    const { wire, method } = this.#wanted;
    if (method !== "GET") return;
    const payload = portion.bytes.subarray(payloadOffset, payloadOffset + bytes);
    const kept = { bodyBytes, ageSeconds, ttlSeconds, version: hotVersion };
    this.#context.hot.keep(hotName(wire, this.#hotKey), this.#hash, payload, kept, this.#loan);
  }

  /** Steps 9 to 11: asks for what comes next, then sends what is there. */
  #pump(): void {
    while (this.#transfer.phase === "sending") {
      this.#askAhead();
      const [portion] = this.#portions;
      if (portion?.range === undefined || this.#stalledSinceMs !== undefined) return;
      if (!this.#send(portion, portion.range)) return;
      this.#portions.shift();
      this.#step({ type: "sent", bytes: portion.answer!.bytes, last: portion.answer!.last });
      if (portion.holdsSegment) this.#reuse(portion.ask.segment);
    }
    if (this.#transfer.phase === "done" && this.#transfer.outcome === "sent") this.#finish();
  }

  /** True when the whole portion has gone out. */
  #send(portion: Portion, range: { start: number; end: number }): boolean {
    while (range.start < range.end) {
      const taken = this.#write(portion, range);
      if (taken < 0) {
        this.clientLeft();
        return false;
      }
      if (taken > 0) this.#begun = true;
      range.start += taken;
      this.#context.counters.add("sentBytes", taken);
      if (range.start < range.end) {
        this.#stalledSinceMs = this.#context.now();
        this.#context.stalled.add(this);
        return false;
      }
    }
    return true;
  }

  #write({ bytes, loan }: Portion, { start, end }: { start: number; end: number }): number {
    if (loan !== undefined) return this.#sink.writeLoan(loan, start);
    return this.#sink.write(bytes.subarray(start, end), this.#portions[1]?.loan !== undefined);
  }

  /** Step 11, with a second segment if one is free: the cache fills while the first is being sent. */
  #askAhead(): void {
    while (this.#transfer.phase === "sending" && this.#portions.length < PORTIONS_IN_FLIGHT) {
      if (this.#awaitingNotice || nextAsk(this.#transfer, 1) === undefined) return;
      const segment = this.#context.pool.tryTake();
      if (segment === undefined) {
        if (this.#portions.length === 0) this.#waitFor().forSegment();
        return;
      }
      this.#askWith(segment);
    }
  }

  /** A portion has left: its segment carries the next one, unless somebody waits for it or nothing is left to ask for. */
  #reuse(segment: Segment): void {
    const { pool } = this.#context;
    const more = this.#transfer.phase === "sending" && !this.#awaitingNotice && !pool.contended;
    if (more && this.#portions.length < PORTIONS_IN_FLIGHT) this.#askWith(segment);
    else pool.giveBack(segment);
  }

  #askWith(segment: Segment): void {
    const { cache, pool } = this.#context;
    const capacity = portionCapacity(segment.bytes.length, NEXT_PAYLOAD_OFFSET);
    const next = this.#awaitingNotice ? undefined : nextAsk(this.#transfer as Sending, capacity);
    if (next === undefined) return pool.giveBack(segment);
    const ask = cache.read(segment, this.#shard, this.#transferId, next.firstByte, next.bytes ?? capacity, this);
    if (ask === undefined) {
      pool.giveBack(segment);
      return this.#cacheLost(); // it died while nothing was asked of it: nobody has told us
    }
    this.#step({ type: "asked", bytes: next.bytes });
    this.#portions.push(newPortion(ask, next.firstByte, next.bytes));
  }

  /** The origin is slow: nothing is held until the cache gives notice. */
  #pending(portion: Portion): void {
    this.#portions.splice(this.#portions.indexOf(portion), 1);
    this.#step({ type: "pending" });
    this.#awaitingNotice = true;
    this.#context.cache.expectNotice(this.#transferId, this);
  }

  #cacheLost(): void {
    if (this.done) return;
    this.#opened = false;
    if (this.#transfer.phase === "sending") return this.#fail("cut-short");
    this.#startAgain();
  }

  /** Nothing went out yet: the transfer begins anew. */
  #startAgain(): void {
    this.#step({ type: "cache-lost" });
    this.#portions.length = 0;
    this.#awaitingNotice = false;
    this.#noticed = false;
    this.start();
  }

  /** The segments go back, and what was in them is asked for again once the client goes on. */
  #park(sentOfFirst: number): void {
    this.#step({ type: "sent", bytes: sentOfFirst, last: false });
    this.#step({ type: "parked" });
    for (const portion of this.#portions.splice(0)) {
      if (portion.answer !== undefined && portion.holdsSegment) this.#context.pool.giveBack(portion.ask.segment);
    }
    this.#context.counters.add("transfersParked");
  }

  /** As parking, for bytes that can not be asked for again: they move out of the segment. */
  #copyOut(): void {
    for (const portion of this.#portions) {
      if (portion.range === undefined || !portion.holdsSegment) continue;
      const { start, end } = portion.range;
      portion.bytes = portion.bytes.slice(start, end);
      portion.range = { start: 0, end: end - start };
      portion.holdsSegment = false;
      this.#context.pool.giveBack(portion.ask.segment);
      this.#context.counters.add("transfersParked");
    }
  }

  #failMalformed(): false {
    const { counters, pool } = this.#context;
    counters.add("refusedMessages");
    for (const portion of this.#portions) {
      if (portion.answer === undefined || !portion.holdsSegment) continue;
      pool.replace(portion.ask.segment); // whoever wrote nonsense may write again
      portion.holdsSegment = false;
      counters.add("segmentsReplaced");
    }
    this.#fail("origin-error");
    return false;
  }

  /** There will be no more: an answer in the wire's words when nothing went out, else an abort. */
  #fail(reason: RefusalReason): void {
    const begun = this.#begun;
    if (!this.done) this.#step({ type: "refused", refusal: "origin-error" });
    this.#cleanUp();
    this.#context.counters.add(begun ? "responsesAborted" : "responsesRefused");
    if (begun) this.#sink.abort();
    else this.#sink.refuse(reason);
  }

  #finish(): void {
    this.#cleanUp();
    this.#context.counters.add("responsesSent");
    this.#sink.finish();
  }

  /** Everything that is held goes home; what is still with the cache comes home by itself. */
  #cleanUp(): void {
    this.#context.stalled.delete(this);
    this.#waits?.stop();
    this.#loan?.giveBack();
    this.#loan = undefined;
    for (const portion of this.#portions.splice(0)) {
      if (portion.answer !== undefined && portion.holdsSegment) this.#context.pool.giveBack(portion.ask.segment);
    }
    if (this.#opened) this.#context.cache.close(this.#shard, this.#transferId);
    this.#opened = false;
  }
}
