import { objectName, type Segment, type SharedMemory } from "@proj/ipc";
import { everyBeat, type Heartbeat } from "@proj/process";
import {
  type Answer,
  bumpStripe,
  type ChannelRequest,
  type Counters,
  channelNames,
  type Invalidation,
  invalidationBlockBytes,
  type Operation,
  type PassedResponse,
  type ProxyCounter,
  passedResponseBlockBytes,
  readAnswer,
  SEGMENT_BODY_OFFSET,
  shardOf,
  stripeArrivals,
  stripeOf,
  stripeVersions,
  targetHash,
  type WantedResponse,
  writeAsked,
  writeInvalidationBlock,
  writePassedResponseBlock,
  writeRequestBlock,
} from "@proj/protocol";
import { CacheLink, type LinkOwner } from "./cache-link.ts";
import { type Loan, LoanTable } from "./loan-table.ts";
import { type NoticeOwner, Notices } from "./notices.ts";

/** What came of a question: the cache's answer, or that it died (`lost`), did not answer in time (`late`), or stands still or can not read the question (`silent`). */
export type Outcome = Answer | { kind: "lost" } | { kind: "late" } | { kind: "silent" };

/** Whether somebody may still write into the segment of a question that had this outcome: then it has to be replaced. */
export function mayBeWrittenTo(
  outcome: Outcome,
): outcome is Extract<Outcome, { kind: "late" | "silent" | "malformed" }> {
  return outcome.kind === "late" || outcome.kind === "silent" || outcome.kind === "malformed";
}

/** A segment that the cache has been asked to fill. The asker owns the segment again once {@link AskOwner.answered} is called. */
export interface Ask {
  readonly segment: Segment;
  readonly firstByte: number;
  readonly shard: number;
}

export interface AskOwner extends NoticeOwner {
  /** Whether it can do without the answer, should the shard that owes it stand still: it is then told `silent`. */
  readonly canDoWithout: boolean;
  answered(ask: Ask, outcome: Outcome): void;
}

interface PendingAsk extends Ask {
  readonly ticket: number;
  readonly owner: AskOwner;
  readonly askedMs: number;
}

/** What one life of the cache says of all keys, live: see stripes.ts of the protocol. Another life has another object. */
export interface StripeWords {
  readonly versions: Int32Array;
  readonly arrivals: Int32Array;
}

/**
 * A cache that is not there when a thread starts has had a while to come already: where both processes have died, or have just been started, it began when the proxy did, and is
 * ready a fifth of a second later. Its requests wait for the rest of the time only.
 */
const HEAD_START_MS = 200;
/** The cache answers `pending` to what takes long; one that says nothing for so long hangs. */
const ANSWER_TIMEOUT_MS = 15_000;

/** The proxy thread's end of the channel: what is asked of the cache, and who gets the answer. */
export class CacheClient {
  readonly #owner: LinkOwner;
  readonly #life: number;
  readonly #now: () => number;
  readonly #atEndOfTurn: (callback: () => void) => void;
  readonly #onAttach: (versions: Int32Array) => void;
  readonly #onLost: () => void;
  readonly #onSilence: (isSilent: boolean) => void;
  readonly #onRefusals: (isRefusing: boolean) => void;
  readonly #onOtherVersion: () => void;
  readonly #notices: Notices;
  readonly #asks: PendingAsk[] = [];
  readonly #whenAttached = new Set<() => void>();
  /** How often the cache's life is checked, and, while it is away, looked for. */
  readonly #checks: Heartbeat;
  readonly #loans: LoanTable;
  #link: CacheLink | undefined;
  #awaySinceMs: number;
  #stripes: StripeWords | undefined;
  /** Of a life that is over: the hot tier still looks at its stripes, and answers from what it has while the cache is away. */
  #formerControl: SharedMemory | undefined;
  #nextTicket = 1;
  #nextTransfer = 1;
  #flushing = false;
  #saidOtherVersion = false;

  /**
   * Makes the thread's notice queue and looks for the cache, which may come later, or die and come back.
   *
   * @throws {SystemCallError} The notice queue can not be made.
   */
  constructor(options: {
    channel: string;
    thread: number;
    life: number;
    counters: Counters<ProxyCounter>;
    isAlive: (pid: number, startTime: number) => boolean;
    now: () => number;
    /** Calls back once when this turn of the event loop is over. */
    atEndOfTurn: (callback: () => void) => void;
    /** How many bodies on loan may have a descriptor of their own, to be sent without a copy. */
    loanDescriptorsMax: number;
    /** Told of each life of the cache: the versions of its stripes, readable until the next call. */
    onAttach: (versions: Int32Array) => void;
    /** Told once when the cache that was attached has died. */
    onLost: () => void;
    /** Told when shards of it stand still, and when all of them go on. */
    onSilence: (isSilent: boolean) => void;
    /** Told when shards of it drop what they are asked, and when all of them answer again. */
    onRefusals: (isRefusing: boolean) => void;
    /** Told once of a cache whose layout is another than ours, which is not talked to. */
    onOtherVersion: () => void;
  }) {
    const { thread, life, counters, isAlive, now } = options;
    const names = channelNames(options.channel);
    this.#owner = { names, thread, counters, isAlive };
    this.#life = life;
    this.#now = now;
    this.#atEndOfTurn = options.atEndOfTurn;
    this.#loans = new LoanTable(options.loanDescriptorsMax);
    this.#onAttach = options.onAttach;
    this.#onLost = options.onLost;
    this.#onSilence = options.onSilence;
    this.#onRefusals = options.onRefusals;
    this.#onOtherVersion = options.onOtherVersion;
    this.#awaySinceMs = now() - HEAD_START_MS;
    this.#notices = new Notices(objectName(names.noticeQueue(thread)), life, counters, now);
    this.#attach();
    this.#checks = everyBeat(() => this.#check());
  }

  get attached(): boolean {
    return this.#link !== undefined;
  }

  /** Whether the shard that owns this target stands still, or drops what it is asked: it is served without the cache until that goes on, or is replaced. */
  standsStill(hash: number): boolean {
    const link = this.#link;
    if (link === undefined) return false;
    return link.standsStill(shardOf(hash, link.shards), this.#now);
  }

  /** Of the cache that is attached, or was last: they stay readable until there is another. Undefined before the first. */
  get stripes(): StripeWords | undefined {
    return this.#stripes;
  }

  /** Whether the cache is attached, and lives: there is no other life of it yet that may have stored something. The kernel says so, and is believed for less than a restart takes. */
  get isSurelyAlive(): boolean {
    const link = this.#link;
    if (link === undefined) return false;
    return link.isSurelyAlive(this.#now());
  }

  /** Looks for the cache now rather than at the next check: a request need not find it away that has just come. */
  attachNow(): boolean {
    if (this.#link === undefined) this.#attach();
    return this.#link !== undefined;
  }

  /** Since when there is no cache, on the clock that was passed in; means nothing while it is {@link attached}. */
  get awaySinceMs(): number {
    return this.#awaySinceMs;
  }

  /** A number for a new transfer. */
  newTransfer(): number {
    const transfer = this.#nextTransfer;
    this.#nextTransfer = transfer === 0xffffffff ? 1 : transfer + 1;
    return transfer;
  }

  /** Calls `ready` once when the cache is there; returns how to stop waiting. */
  whenAttached(ready: () => void): () => void {
    this.#whenAttached.add(ready);
    return () => this.#whenAttached.delete(ready);
  }

  /**
   * Steps 3 and 4: readies the segment's header, writes what is wanted into its body, and sends the request to the shard that owns the target.
   *
   * @param hash Of what of the target is in the key: it chooses the shard.
   * @returns undefined when the cache is away; the segment is then still the caller's.
   */
  open(segment: Segment, transfer: number, wanted: WantedResponse, hash: number, owner: AskOwner): Ask | undefined {
    if (this.#link === undefined) return undefined;
    const shard = shardOf(hash, this.#link.shards);
    const blockBytes = writeRequestBlock(segment.bytes, wanted);
    return this.#ask(segment, shard, "open", transfer, 0, blockBytes, owner);
  }

  /** Maps the body that the shard which answered `ask` has lent; undefined when it is gone. The caller gives it back. */
  borrow(ask: Ask, loan: number, bodyBytes: number): Loan | undefined {
    const life = this.#link?.life ?? 0;
    const borrowed = this.#loans.borrow(this.#owner.names.body(life, ask.shard, loan), bodyBytes);
    this.#owner.counters.add(borrowed === undefined ? "loansMissed" : "loansBorrowed");
    return borrowed;
  }

  /** Step 11: asks for the stream from `firstByte` on, at most `bytesMax` bytes. */
  read(
    segment: Segment,
    shard: number,
    transfer: number,
    firstByte: number,
    bytesMax: number,
    owner: AskOwner,
  ): Ask | undefined {
    if (this.#link === undefined) return undefined;
    return this.#ask(segment, shard, "read", transfer, firstByte, bytesMax, owner);
  }

  /** The shards that have to hear of it, each with what concerns it: targets go to their owners, groups to all. */
  shardsOf({ site, targets, groups }: Invalidation): Map<number, Invalidation> {
    const shards = this.#link?.shards ?? 0;
    const parts = new Map<number, Invalidation>();
    for (let shard = 0; shard < shards; shard++) {
      const own = targets.filter((target) => shardOf(targetHash(target), shards) === shard);
      if (own.length > 0 || groups.length > 0) parts.set(shard, { site, targets: own, groups });
    }
    return parts;
  }

  /**
   * Tells a shard what an unsafe request has changed; the answer is a portion of no bytes, once nobody gets any more what was stored of it.
   *
   * @returns undefined when the cache is away, or the block does not fit into the segment; the segment is then still the caller's.
   */
  invalidate(segment: Segment, shard: number, what: Invalidation, owner: AskOwner): Ask | undefined {
    if (this.#link === undefined || shard >= this.#link.shards) return undefined;
    if (SEGMENT_BODY_OFFSET + invalidationBlockBytes(what) > segment.bytes.length) return undefined;
    const blockBytes = writeInvalidationBlock(segment.bytes, what);
    return this.#ask(segment, shard, "invalidate", this.newTransfer(), 0, blockBytes, owner);
  }

  /**
   * Offers the cache a response to POST that has passed; undefined as for {@link invalidate}. The answer is a portion of no bytes.
   *
   * @param hash Of what of its target is in the key.
   */
  keep(segment: Segment, passed: PassedResponse, hash: number, owner: AskOwner): Ask | undefined {
    if (this.#link === undefined) return undefined;
    if (SEGMENT_BODY_OFFSET + passedResponseBlockBytes(passed) > segment.bytes.length) return undefined;
    const shard = shardOf(hash, this.#link.shards);
    bumpStripe(this.#stripes!.arrivals, stripeOf(hash));
    const blockBytes = writePassedResponseBlock(segment.bytes, passed);
    return this.#ask(segment, shard, "keep", this.newTransfer(), 0, blockBytes, owner);
  }

  /** Tells the cache that nothing more of this transfer is wanted; what is still asked for comes back as `cancelled`. */
  close(shard: number, transfer: number): void {
    this.#notices.forget(transfer);
    if (this.#link === undefined) return;
    this.#post(shard, this.#record("close", transfer, undefined, 0, 0, 0));
  }

  /** The cache has answered `pending`: the owner will be told when there is something to read. */
  expectNotice(transfer: number, owner: AskOwner): void {
    this.#notices.expect(transfer, owner);
  }

  /** Takes what the cache has answered since the last look. True when there was something. */
  look(): boolean {
    // A notice is sent after its transfer's `pending`: taken first and handed out last, it finds its owner waiting.
    const wereExpected = this.#notices.areExpected;
    const notices = this.#notices.take();
    const found = this.#lookAtAsks();
    this.#notices.handOut(notices);
    if (!wereExpected && this.#notices.areExpected) this.#notices.handOut(this.#notices.take());
    if (this.#link?.hasUnsent) this.#link.flush();
    return found || notices.length > 0;
  }

  stop(): void {
    this.#checks.stop();
    this.#lose();
    this.#formerControl?.close();
    this.#loans.close();
    this.#notices.close();
  }

  #ask(
    segment: Segment,
    shard: number,
    operation: Operation,
    transfer: number,
    firstByte: number,
    bytesMax: number,
    owner: AskOwner,
  ): Ask {
    const ticket = this.#nextTicket;
    this.#nextTicket = ticket === 0x7fffffff ? 1 : ticket + 1;
    segment.semaphore.reset(0);
    writeAsked(segment.i32, ticket);
    const ask: PendingAsk = { segment, firstByte, shard, ticket, owner, askedMs: this.#now() };
    this.#asks.push(ask);
    this.#post(shard, this.#record(operation, transfer, segment, ticket, firstByte, bytesMax));
    return ask;
  }

  #record(
    operation: Operation,
    transfer: number,
    segment: Segment | undefined,
    ticket: number,
    firstByte: number,
    bytesMax: number,
  ): ChannelRequest {
    return {
      operation,
      thread: this.#owner.thread,
      proxyLife: this.#life,
      transfer,
      segmentId: segment?.id ?? 0,
      segmentGeneration: segment?.generation ?? 0,
      segmentBytes: segment?.bytes.length ?? 0,
      ticket,
      firstByte,
      bytesMax,
    };
  }

  /** Sends at the end of this turn of the event loop: what the turn's sockets ask of one shard travels in one message. */
  #post(shard: number, record: ChannelRequest): void {
    this.#link!.post(shard, record);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#atEndOfTurn(() => {
      this.#flushing = false;
      this.#link?.flush();
    });
  }

  /** Step 4, the end of the wait: which semaphores have been posted? */
  #lookAtAsks(): boolean {
    let found = false;
    for (let index = 0; index < this.#asks.length; ) {
      const ask = this.#asks[index]!;
      if (!ask.segment.semaphore.tryWait()) {
        index++;
        continue;
      }
      found = true;
      this.#remove(index);
      if (this.#link?.refusing.answered(ask.shard)) this.#onRefusals(false);
      const answer = readAnswer(ask.segment.i32, ask.segment.bytes.length, ask.ticket);
      if (answer.kind === "malformed") this.#owner.counters.add("refusedMessages");
      ask.owner.answered(ask, answer);
    }
    return found;
  }

  #remove(index: number): void {
    const last = this.#asks.pop()!;
    if (index < this.#asks.length) this.#asks[index] = last;
  }

  #check(): void {
    const link = this.#link;
    if (link === undefined) return this.#attach();
    const wasSilent = link.watch.hasStalled;
    const lookedMs = this.#now();
    const fallen = link.look(lookedMs);
    if (fallen === "over") {
      this.#onLost();
      return this.#lose();
    }
    // Whoever can do without a shard that stands still does; the others wait for it, or for its end.
    for (const shard of fallen) this.#turnAway(shard);
    if (wasSilent !== link.watch.hasStalled) this.#onSilence(link.watch.hasStalled);
    this.#lookForRefusals(link);
    this.#notices.tellOverdue();
    const deadline = lookedMs - ANSWER_TIMEOUT_MS;
    for (let index = this.#asks.length - 1; index >= 0; index--) {
      const ask = this.#asks[index]!;
      if (ask.askedMs > deadline) continue;
      this.#remove(index);
      ask.owner.answered(ask, { kind: "late" });
    }
  }

  /** Who can do without what a shard has dropped does, rather than wait until it is late. */
  #lookForRefusals({ refusing }: CacheLink): void {
    const nowMs = this.#now();
    refusing.look(nowMs);
    for (let index = this.#asks.length - 1; index >= 0; index--) {
      const ask = this.#asks[index]!;
      if (!ask.owner.canDoWithout || !refusing.isRefused(ask.shard, ask.askedMs, nowMs)) continue;
      this.#remove(index);
      if (refusing.rest(ask.shard, nowMs)) this.#onRefusals(true);
      ask.owner.answered(ask, { kind: "silent" });
    }
  }

  #turnAway(shard: number): void {
    this.#owner.counters.add("cacheStalls");
    for (let index = this.#asks.length - 1; index >= 0; index--) {
      const ask = this.#asks[index]!;
      if (ask.shard !== shard || !ask.owner.canDoWithout) continue;
      this.#remove(index);
      ask.owner.answered(ask, { kind: "silent" });
    }
    this.#notices.tellWhoCanDoWithout();
  }

  #attach(): void {
    const link = CacheLink.open(this.#owner);
    if (link === "other-version") this.#sayOtherVersion();
    if (typeof link !== "object") return;
    this.#link = link;
    this.#saidOtherVersion = false;
    const { buffer } = link.control;
    this.#stripes = { versions: stripeVersions(buffer, link.shards), arrivals: stripeArrivals(buffer, link.shards) };
    this.#onAttach(this.#stripes.versions);
    this.#formerControl?.close();
    this.#formerControl = undefined;
    const waiting = [...this.#whenAttached];
    this.#whenAttached.clear();
    for (const ready of waiting) ready();
  }

  #sayOtherVersion(): void {
    if (!this.#saidOtherVersion) this.#onOtherVersion();
    this.#saidOtherVersion = true;
  }

  /** The cache has died: nobody will answer what it was asked, and nobody writes into those segments any more. */
  #lose(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#link = undefined;
    this.#awaySinceMs = this.#now();
    this.#owner.counters.add("cacheLosses");
    link.close();
    this.#formerControl = link.control;
    const asks = this.#asks.splice(0);
    const owners = this.#notices.lose();
    for (const ask of asks) ask.owner.answered(ask, { kind: "lost" });
    for (const owner of owners) owner.lost();
  }
}
