import {
  currentAgeMs,
  type Freshness,
  isFresh,
  NO_DIRECTIVES,
  stripeOf,
  stripeVersion,
  ttlMs,
  type Wire,
} from "@proj/protocol";
import type { Loan } from "./loan-table.ts";

/** Room before the stored fields for everything that is rendered anew: status line, length, age, Cache-Status. */
const HEAD_START_ROOM = 256;
/** No response may take more than this part of the tier. */
const SHARE = 8;
/** What an entry weighs beside its bytes. */
const OVERHEAD_BYTES = 512;

/**
 * Renders the start of a head into the room before a hot response's payload; what is then {@link HotResponse.ready} leaves in one write.
 *
 * @param readyUntilMs Until when the next client may be sent the same, on the tier's clock.
 */
export function readyWith(hot: HotResponse, headStart: string, readyUntilMs: number): Uint8Array {
  const start = hot.payloadOffset - headStart.length;
  hot.bytes.write(headStart, start, "latin1");
  hot.ready = hot.bytes.subarray(start);
  hot.readyUntilMs = readyUntilMs;
  return hot.ready;
}

/** What is left of `ready` after `taken` bytes. The room is rendered anew for the next client: what is not sent of it is copied. */
export function restOf(hot: HotResponse, ready: Uint8Array, taken: number): Uint8Array {
  const roomLeft = hot.bytes.length - hot.payloadOffset < ready.length - taken;
  const rest = ready.subarray(taken);
  return roomLeft ? new Uint8Array(rest) : rest;
}

/** A response that is ready to send: its bytes, and how long they are good. */
export interface HotResponse {
  /** Room, then head block and body: the start of the head is rendered into the end of the room. */
  readonly bytes: Buffer;
  /** The body, where it is too large for a copy. */
  readonly loan: Loan | undefined;
  /** Where head block and body begin in {@link bytes}. */
  readonly payloadOffset: number;
  readonly bodyBytes: number;
  readonly freshness: Freshness;
  /** From what was rendered last to the end, and until when its Age is right: within that second nothing is rendered anew. */
  ready: Uint8Array;
  readyUntilMs: number;
}

interface Entry extends HotResponse {
  readonly stripe: number;
  readonly version: number;
  /** Used since the hand came by last. */
  used: boolean;
}

/**
 * Small responses that one thread keeps ready to send. An entry is good while it is fresh, by the same rule as in the cache, and while its
 * stripe has the version at which the cache gave it out. What has not been used since the last round makes room first (CLOCK).
 */
export class HotTier {
  readonly limitBytes: number;
  /** Largest response that is kept, in bytes. */
  readonly responseBytesMax: number;
  usedBytes = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #nowMs: () => number;
  #versions: Int32Array | undefined;
  /** When {@link lookup} was called last: a clock costs more than the rest of a look-up, so it is read once for a response. */
  #lookedMs = 0;

  /**
   * @param limitBytes 0: nothing is kept.
   * @param nowMs Monotonic: only time that passed here is added to the age the cache told.
   */
  constructor(limitBytes: number, nowMs: () => number) {
    this.limitBytes = limitBytes;
    this.responseBytesMax = Math.floor(limitBytes / SHARE);
    this.#nowMs = nowMs;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** A cache of another life counts other versions: what the former one gave out can not be told good from changed. */
  attach(versions: Int32Array): void {
    for (const [key, entry] of this.#entries) this.#remove(key, entry);
    this.#versions = versions;
  }

  /** A response that may be sent now, by its {@link hotName}. Valid until the next call; its bytes stay as they are but for the room. */
  lookup(name: string): HotResponse | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#lookedMs = this.#nowMs();
    const isUnchanged = stripeVersion(this.#versions!, entry.stripe) === entry.version && entry.loan?.isBroken !== true;
    if (!isUnchanged || !isFresh(entry.freshness, this.#lookedMs)) {
      this.#remove(name, entry);
      return undefined;
    }
    entry.used = true;
    return entry;
  }

  /**
   * Keeps a copy of a response that the cache said may be kept.
   *
   * @param name See {@link hotName}.
   * @param hash Of what of its target is in the cache's key.
   * @param payload Head block and body, whole; or the head block alone, with the body on `loan`, which is retained while the response is kept.
   * @param ageSeconds Its age now, and `ttlSeconds` how long it is still fresh, as the cache told.
   */
  keep(
    name: string,
    hash: number,
    payload: Uint8Array,
    response: { bodyBytes: number; ageSeconds: number; ttlSeconds: number; version: number },
    loan?: Loan,
  ): void {
    const bytesNeeded = payload.length + (loan?.bytes.length ?? 0) + HEAD_START_ROOM + OVERHEAD_BYTES;
    const { version } = response;
    const stripe = stripeOf(hash);
    if (this.#versions === undefined || bytesNeeded > this.responseBytesMax) return;
    if (stripeVersion(this.#versions, stripe) !== version) return; // it has changed since
    const former = this.#entries.get(name);
    if (former !== undefined) this.#remove(name, former);
    this.#makeRoom(bytesNeeded);
    const bytes = Buffer.from(new ArrayBuffer(HEAD_START_ROOM + payload.length));
    bytes.set(payload, HEAD_START_ROOM);
    loan?.retain();
    const freshness = freshnessNow(response, this.#nowMs());
    const { bodyBytes } = response;
    const unrendered = { ready: bytes, readyUntilMs: Number.NEGATIVE_INFINITY };
    this.#entries.set(name, {
      bytes,
      loan,
      payloadOffset: HEAD_START_ROOM,
      bodyBytes,
      freshness,
      stripe,
      version,
      used: false,
      ...unrendered,
    });
    this.usedBytes += bytesNeeded;
  }

  /** Whether what was rendered for somebody else is still right for the response that was looked up last. */
  isReady(hot: HotResponse): boolean {
    return this.#lookedMs < hot.readyUntilMs;
  }

  /** Of the response that was looked up last: its age and how long it is still fresh, in whole seconds, and until when that is so. */
  times({ freshness }: HotResponse): { ageSeconds: number; ttlSeconds: number; untilMs: number } {
    const nowMs = this.#lookedMs;
    const ageMs = currentAgeMs(freshness, nowMs);
    return {
      ageSeconds: Math.floor(ageMs / 1000),
      ttlSeconds: Math.floor(ttlMs(freshness, nowMs) / 1000),
      untilMs: nowMs + 1000 - (ageMs % 1000),
    };
  }

  #makeRoom(bytes: number): void {
    while (this.usedBytes + bytes > this.limitBytes) {
      const [next] = this.#entries;
      if (next === undefined) return;
      const [key, entry] = next;
      this.#entries.delete(key);
      if (entry.used) {
        entry.used = false;
        this.#entries.set(key, entry);
      } else {
        this.#forget(entry);
      }
    }
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#forget(entry);
  }

  #forget(entry: Entry): void {
    this.usedBytes -= weight(entry);
    entry.loan?.giveBack();
  }
}

/**
 * What a thread's hot tier knows a response by.
 *
 * @param hotKey Its target, and of which site it is where there are several.
 */
export function hotName(wire: Wire, hotKey: string): string {
  return wire === "http" ? hotKey : `getfile ${hotKey}`; // a target holds no space
}

function weight(entry: Entry): number {
  return entry.bytes.length + (entry.loan?.bytes.length ?? 0) + OVERHEAD_BYTES;
}

/** Age and time to live as the cache told them, on this thread's clock, for the one function that says what is fresh. */
function freshnessNow(
  { ageSeconds, ttlSeconds }: { ageSeconds: number; ttlSeconds: number },
  nowMs: number,
): Freshness {
  return {
    lifetimeMs: (ageSeconds + ttlSeconds) * 1000,
    basis: "max-age",
    initialAgeMs: ageSeconds * 1000,
    responseTimeMs: nowMs,
    control: NO_DIRECTIVES,
  };
}
