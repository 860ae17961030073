import { S3Fifo } from "../eviction/s3-fifo.ts";
import { overheadBytes, replaces, type StoredResponse } from "../stored-response.ts";
import type { Room } from "./block-list.ts";

const NONE: readonly StoredResponse[] = [];
/** Variants of one key: beyond it the one that was stored first goes. Whoever varies on a cookie has one for each client (CHECKLIST 26). */
export const VARIANTS_MAX = 64;

/** Both are told before the response goes. */
export interface TableEvents {
  /** It goes to make room. */
  onEvict(response: StoredResponse): void;
  /** It is replaced or invalidated: nobody may use it any more. */
  onRemove?(response: StoredResponse): void;
}

/** The index of one tier: variants by key, the order in which they go, and the bytes they take. */
export class ResponseTable implements Room {
  readonly limitBytes: number;
  usedBytes = 0;
  /** Variants by key. */
  readonly #variants = new Map<string, StoredResponse[]>();
  readonly #order: S3Fifo;
  readonly #slots = new Map<StoredResponse, number>();
  /** By slot. */
  readonly #responses: (StoredResponse | undefined)[] = [];
  /** By slot: what the response takes beside its body. */
  readonly #overheads: number[] = [];
  readonly #events: TableEvents;

  constructor(limitBytes: number, events: TableEvents) {
    this.limitBytes = limitBytes;
    this.#order = new S3Fifo(limitBytes);
    this.#events = events;
  }

  get count(): number {
    return this.#slots.size;
  }

  take(bytes: number): boolean {
    if (bytes > this.limitBytes) return false;
    while (this.usedBytes + bytes > this.limitBytes) {
      // A body that somebody reads would give no room now: its bytes stay until he is done.
      const slot = this.#order.evict((one) => !this.#responses[one]!.body.isHeld);
      if (slot === undefined) return false; // all the room is with bodies that are arriving or being read
      const response = this.#responses[slot]!;
      this.#events.onEvict(response);
      this.#forget(response, slot);
    }
    this.usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.usedBytes -= bytes;
  }

  lookup(key: string): readonly StoredResponse[] {
    return this.#variants.get(key) ?? NONE;
  }

  entries(): Iterable<StoredResponse> {
    return this.#slots.keys();
  }

  has(response: StoredResponse): boolean {
    return this.#slots.has(response);
  }

  /** @param uses For how many uses this one stands. */
  touch(response: StoredResponse, uses: number): void {
    const slot = this.#slots.get(response);
    if (slot !== undefined) this.#order.touch(slot, uses);
  }

  /** Takes in a response whose body has its room already; false when there is none for the rest of it. */
  insert(response: StoredResponse): boolean {
    for (const other of this.lookup(response.key)) if (replaces(response, other)) this.remove(other);
    const bytes = overheadBytes(response);
    if (!this.take(bytes)) return false;
    const hash = Bun.hash.xxHash32(`${response.key}\n${response.variant.varyKey}`);
    const slot = this.#order.insert(hash, bytes + response.body.bytes);
    this.#slots.set(response, slot);
    this.#responses[slot] = response;
    this.#overheads[slot] = bytes;
    const variants = this.#variants.get(response.key);
    if (variants === undefined) this.#variants.set(response.key, [response]);
    else variants.push(response);
    if (variants !== undefined && variants.length > VARIANTS_MAX) this.remove(variants[0]!);
    return true;
  }

  /** Its fields are others now, and may take more; without room for them it goes. */
  renewed(response: StoredResponse): void {
    const slot = this.#slots.get(response);
    if (slot === undefined) return;
    const bytes = overheadBytes(response);
    const more = bytes - this.#overheads[slot]!;
    if (more > 0 && this.usedBytes + more > this.limitBytes) {
      this.remove(response);
      return;
    }
    this.usedBytes += more;
    this.#overheads[slot] = bytes;
    this.#order.reweigh(slot, this.#order.weightOf(slot) + more);
    this.#order.touch(slot, 1);
  }

  remove(response: StoredResponse): boolean {
    const slot = this.#slots.get(response);
    if (slot === undefined) return false;
    this.#events.onRemove?.(response);
    this.#order.remove(slot);
    this.#forget(response, slot);
    return true;
  }

  invalidate(key: string, response?: StoredResponse): number {
    const going = response === undefined ? this.lookup(key) : [response];
    return going.filter((one) => this.remove(one)).length;
  }

  /** Lets all go, for it is not needed any more: nobody is told. */
  clear(): void {
    for (const [response, slot] of [...this.#slots]) {
      this.#order.remove(slot);
      this.#forget(response, slot);
    }
  }

  #forget(response: StoredResponse, slot: number): void {
    this.#slots.delete(response);
    this.#responses[slot] = undefined;
    const others = this.lookup(response.key).filter((other) => other !== response);
    if (others.length === 0) this.#variants.delete(response.key);
    else this.#variants.set(response.key, others);
    this.giveBack(this.#overheads[slot]!);
    response.body.discard();
  }
}
