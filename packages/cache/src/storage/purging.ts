import { EventLoop } from "@proj/ipc";
import type { PurgeCount } from "../purge.ts";
import type { StoredResponse } from "../stored-response.ts";
import type { DiskStorage } from "./disk-storage.ts";
import type { DigestHint } from "./entry-digest.ts";
import type { MemoryStorage } from "./memory-storage.ts";

/** A purge goes on for so long, then the event loop has its turn. */
const TURN_MS = 1;
/** Between two looks at the clock. */
const SLOTS_PER_STEP = 8;
/** What can not be read just now, for want of descriptors, is tried again after so long. */
const RETRY_MS = 100;

/** What a purge means to what is stored. */
export interface PurgeRule {
  /** Above that of any purge before. */
  readonly number: number;
  /** What becomes of what it concerns; a dry run counts it. */
  readonly kind: "drop" | "make-stale" | "dry-run";
  readonly concerns: (response: StoredResponse) => boolean;
  /** By which most of what it does not concern is told without being read; undefined: it has to be. */
  readonly hints: readonly DigestHint[] | undefined;
  /** Wall clock: what it makes stale is so from then on. */
  readonly givenMs: number;
}

/** How a store does what a rule says. */
export interface PurgeActions {
  drop(response: StoredResponse): void;
  /** After that it has seen the purges up to `seen`: of those that a former life has left, later ones may not have been begun yet. */
  makeStale(response: StoredResponse, fromMs: number, seen: number): void;
}

/** A purge that goes through the store. */
interface Walk {
  readonly rule: PurgeRule;
  readonly count: PurgeCount;
  readonly ended: PromiseWithResolvers<PurgeCount>;
}

/**
 * Purges of what can only be found by looking at everything. A rule holds from the moment it is given: what it concerns is looked for when somebody asks for it,
 * and is not found. Behind that the whole store is gone through, a little at a time between requests, and when that has been done the purge is complete.
 *
 * Memory comes first, then disk, so that what leaves memory meanwhile is seen on disk; what comes back into memory has passed {@link admits}. Rules that come while
 * the store is gone through wait for the next time, and share it.
 */
export class Purging {
  readonly #memory: MemoryStorage | undefined;
  readonly #disk: DiskStorage | undefined;
  readonly #actions: PurgeActions;
  readonly #nowMs: () => number;
  /** Those that this time is for. */
  #walks: Walk[] = [];
  #waiting: Walk[] = [];
  #tier: MemoryStorage | DiskStorage | undefined;
  #slot = 0;
  /** Calls off its next turn; undefined: there is none. */
  #callOff: (() => void) | undefined;

  /** @param nowMs Monotonic. */
  constructor(
    { memory, disk }: { memory: MemoryStorage | undefined; disk: DiskStorage | undefined },
    actions: PurgeActions,
    nowMs: () => number,
  ) {
    this.#memory = memory;
    this.#disk = disk;
    this.#actions = actions;
    this.#nowMs = nowMs;
  }

  /** Whether any rule is to be looked at. */
  get isActive(): boolean {
    return this.#walks.length > 0 || this.#waiting.length > 0;
  }

  /** Resolves when nothing is left in the store that the rule concerns; from now on nothing of it is found. */
  begin(rule: PurgeRule): Promise<PurgeCount> {
    const walk = newWalk(rule);
    this.#waiting.push(walk);
    if (this.#callOff === undefined) this.#goOnSoon();
    return walk.ended.promise;
  }

  /** Purges what the rule concerns of `variants`, at once. */
  purgeNow(rule: PurgeRule, variants: readonly StoredResponse[]): PurgeCount {
    const walk = newWalk(rule);
    for (const response of variants) {
      if (this.#judge(response, [...this.#rules, walk])) countIfDry(walk, response);
    }
    return walk.count;
  }

  /** Whether a stored response may be used: false when a rule has made it go just now. */
  admits(response: StoredResponse): boolean {
    return this.#judge(response, this.#rules);
  }

  /** Goes on for about `budgetMs`; false when nothing is left to do. */
  run(budgetMs: number): boolean {
    const untilMs = this.#nowMs() + budgetMs;
    do {
      if (!this.isActive) return false;
      this.#step();
    } while (this.#nowMs() < untilMs);
    return this.isActive;
  }

  close(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  /** As {@link run}, but that the thread does not wait for the disk. */
  #takeTurn(): void {
    this.#callOff = undefined;
    const untilMs = this.#nowMs() + TURN_MS;
    while (this.isActive && this.#nowMs() < untilMs) {
      const bringing = this.#tier === this.#disk ? this.#disk?.bringSlots(this.#nextSlots) : undefined;
      if (bringing !== undefined) return this.#goOnAfter(bringing);
      if (!this.#step()) return this.#goOnLater();
    }
    if (this.isActive) this.#goOnSoon();
  }

  #goOnSoon(): void {
    this.#callOff = EventLoop.defer(() => this.#takeTurn());
  }

  #goOnLater(): void {
    const turn = setTimeout(() => this.#takeTurn(), RETRY_MS);
    this.#callOff = () => clearTimeout(turn);
  }

  /** What has been brought is looked at without waiting: what could not be is tried again there. */
  #goOnAfter(bringing: Promise<unknown>): void {
    let isOff = false;
    this.#callOff = () => {
      isOff = true;
    };
    void bringing.then(() => {
      if (isOff) return;
      if (this.isActive && !this.#step()) this.#goOnLater();
      else this.#takeTurn();
    });
  }

  /** False when it can not go on just now. */
  #step(): boolean {
    if (this.#walks.length === 0) {
      this.#walks = this.#waiting;
      this.#waiting = [];
      this.#beginTier(this.#memory ?? this.#disk);
    }
    const tier = this.#tier;
    if (tier === undefined) {
      this.#end();
      return true;
    }
    if (tier === this.#disk && this.#slot === 0) {
      // What a former life has stored has to be known first.
      if (this.#disk.listNext()) return true;
      this.#disk.listUnlisted();
    }
    for (const slot of this.#nextSlots) {
      const response = tier.responseAt(slot);
      if (response !== undefined) this.#look(response);
      else if (tier === this.#disk && this.#disk.isUnread(slot)) {
        this.#slot = slot; // it may be what is to go
        return false;
      }
    }
    this.#slot += SLOTS_PER_STEP;
    if (this.#slot >= tier.slotsEnd) this.#beginTier(tier === this.#memory ? this.#disk : undefined);
    return true;
  }

  /** The slots that the next step is for, without those that are told by their digest. */
  get #nextSlots(): number[] {
    const length = Math.max(0, Math.min(SLOTS_PER_STEP, (this.#tier?.slotsEnd ?? 0) - this.#slot));
    const slots = Array.from({ length }, (_, index) => this.#slot + index);
    const hints = this.#tier === this.#disk ? this.#hints : undefined;
    return hints === undefined ? slots : slots.filter((slot) => this.#disk?.mayBe(hints, slot));
  }

  #beginTier(tier: MemoryStorage | DiskStorage | undefined): void {
    this.#tier = tier;
    this.#slot = 0;
  }

  #look(response: StoredResponse): void {
    // By all rules, also those that wait: what has been made stale is not compared with them again.
    if (!this.#judge(response, this.#rules)) return;
    for (const walk of this.#walks) countIfDry(walk, response);
  }

  /** What any of the rules may concern; undefined: it may be anything. */
  get #hints(): DigestHint[] | undefined {
    const hints = this.#rules.map(({ rule }) => rule.hints);
    return hints.includes(undefined) ? undefined : hints.flatMap((some) => some ?? []);
  }

  get #rules(): Walk[] {
    return [...this.#walks, ...this.#waiting];
  }

  /** Does to `response` what the rules say that it has not seen; false when it has gone by that. Those are all up to the last of them that are not over. */
  #judge(response: StoredResponse, walks: readonly Walk[]): boolean {
    const concerning = walks.filter(
      ({ rule }) => rule.kind !== "dry-run" && response.purgesSeen < rule.number && rule.concerns(response),
    );
    if (concerning.length === 0) return true;
    const dropping = concerning.find(({ rule }) => rule.kind === "drop");
    add((dropping ?? concerning[0]!).count, response);
    if (dropping === undefined) {
      const seen = Math.max(...concerning.map(({ rule }) => rule.number));
      this.#actions.makeStale(response, concerning[0]!.rule.givenMs, seen);
    } else this.#actions.drop(response);
    return dropping === undefined;
  }

  #end(): void {
    const ended = this.#walks;
    this.#walks = [];
    for (const { count, ended: promise } of ended) promise.resolve(count);
  }
}

function newWalk(rule: PurgeRule): Walk {
  return { rule, count: { responses: 0, bodyBytes: 0 }, ended: Promise.withResolvers<PurgeCount>() };
}

function countIfDry({ rule, count }: Walk, response: StoredResponse): void {
  if (rule.kind === "dry-run" && rule.concerns(response)) add(count, response);
}

function add(count: PurgeCount, { body }: StoredResponse): void {
  count.responses++;
  count.bodyBytes += body.bytes;
}
