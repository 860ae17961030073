import { overheadBytes, replaces, type StoredResponse } from "../stored-response.ts";
import type { Room } from "./block-list.ts";

const NONE: readonly StoredResponse[] = [];
/** Variants of one key: beyond it the one that was stored first goes. Whoever varies on a cookie has one for each client (CHECKLIST 26). */
export const VARIANTS_MAX = 64;

/** The index of one tier: variants by key, the order in which they were used, and the bytes they take. */
export class ResponseTable implements Room {
  readonly limitBytes: number;
  usedBytes = 0;
  /** Variants by key. */
  readonly #variants = new Map<string, StoredResponse[]>();
  /** Least recently used first: a Map keeps the order of insertion. */
  readonly #order = new Map<StoredResponse, number>();
  readonly #onEvict: () => void;

  constructor(limitBytes: number, onEvict: () => void) {
    this.limitBytes = limitBytes;
    this.#onEvict = onEvict;
  }

  get count(): number {
    return this.#order.size;
  }

  take(bytes: number): boolean {
    if (bytes > this.limitBytes) return false;
    while (this.usedBytes + bytes > this.limitBytes) {
      const [oldest] = this.#order.keys();
      if (oldest === undefined) return false; // all the room is with bodies that are still arriving
      this.remove(oldest);
      this.#onEvict();
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
    return this.#order.keys();
  }

  has(response: StoredResponse): boolean {
    return this.#order.has(response);
  }

  touch(response: StoredResponse): void {
    const bytes = this.#order.get(response);
    if (bytes === undefined) return;
    this.#order.delete(response);
    this.#order.set(response, bytes);
  }

  /** Takes in a response whose body has its room already; false when there is none for the rest of it. */
  insert(response: StoredResponse): boolean {
    for (const other of this.lookup(response.key)) if (replaces(response, other)) this.remove(other);
    const bytes = overheadBytes(response);
    if (!this.take(bytes)) return false;
    this.#order.set(response, bytes);
    const variants = this.#variants.get(response.key);
    if (variants === undefined) this.#variants.set(response.key, [response]);
    else variants.push(response);
    if (variants !== undefined && variants.length > VARIANTS_MAX) this.remove(variants[0]!);
    return true;
  }

  remove(response: StoredResponse): boolean {
    const bytes = this.#order.get(response);
    if (bytes === undefined) return false;
    this.#order.delete(response);
    this.giveBack(bytes);
    const others = this.lookup(response.key).filter((other) => other !== response);
    if (others.length === 0) this.#variants.delete(response.key);
    else this.#variants.set(response.key, others);
    response.body.discard();
    return true;
  }

  invalidate(key: string, response?: StoredResponse): number {
    const going = response === undefined ? this.lookup(key) : [response];
    return going.filter((one) => this.remove(one)).length;
  }

  clear(): void {
    for (const response of [...this.#order.keys()]) this.remove(response);
  }
}
