import type { StoredResponse } from "../stored-response.ts";

/** Which entry of a tier a response stands for, or has stood for, as long as that entry is stored. */
export class Places {
  readonly #serialOf: (slot: number) => number;
  readonly #places = new WeakMap<StoredResponse, { slot: number; serial: number }>();

  /** @param serialOf Tells the entry that has a slot now from those that had it before. */
  constructor(serialOf: (slot: number) => number) {
    this.#serialOf = serialOf;
  }

  set(response: StoredResponse, slot: number): void {
    this.#places.set(response, { slot, serial: this.#serialOf(slot) });
  }

  delete(response: StoredResponse): void {
    this.#places.delete(response);
  }

  slotOf(response: StoredResponse): number | undefined {
    const place = this.#places.get(response);
    return place !== undefined && this.#serialOf(place.slot) === place.serial ? place.slot : undefined;
  }
}

/**
 * The responses of a tier that are there as objects, because they were wanted lately: all others are bytes, of which the same can be made again. An object
 * whose body somebody holds stays until he lets go, so that there is never a second one that knows nothing of him.
 *
 * One that was wanted once is soon let go of, and only who is wanted again meanwhile stays: where more are asked for than are kept, most are not, and an object
 * that dies old costs the collector more than making it anew.
 */
export class KnownResponses {
  /** Those that were wanted again. */
  readonly #kept: WantedOrder;
  readonly #once: WantedOrder;

  /** @param max So many are kept that were wanted again. @param once So many that were not: few, unless to make one anew costs far more than to collect it. */
  constructor(max: number, once = Math.min(max, ONCE_MAX)) {
    this.#kept = new WantedOrder(max);
    this.#once = new WantedOrder(once);
  }

  /** The object that stands for the entry in `slot`, if there is one: it is wanted. */
  get(slot: number): StoredResponse | undefined {
    const kept = this.#kept.take(slot) ?? this.#once.take(slot);
    if (kept !== undefined) this.#kept.add(slot, kept);
    return kept;
  }

  /** As {@link get}, but it is forgotten no later for that. */
  peek(slot: number): StoredResponse | undefined {
    return this.#kept.peek(slot) ?? this.#once.peek(slot);
  }

  /** `response` stands for the entry in `slot` from now on. */
  add(slot: number, response: StoredResponse): void {
    this.delete(slot);
    this.#once.add(slot, response);
  }

  delete(slot: number): void {
    if (this.#kept.take(slot) === undefined) this.#once.take(slot);
  }
}

/** So many that were wanted once: few enough to be young still when they go. */
const ONCE_MAX = 64;

/** By slot, the one that was wanted last at the end; those at the front go, but for those whose body somebody holds. */
class WantedOrder {
  readonly #max: number;
  readonly #bySlot = new Map<number, StoredResponse>();

  constructor(max: number) {
    this.#max = max;
  }

  peek(slot: number): StoredResponse | undefined {
    return this.#bySlot.get(slot);
  }

  take(slot: number): StoredResponse | undefined {
    const known = this.#bySlot.get(slot);
    if (known !== undefined) this.#bySlot.delete(slot);
    return known;
  }

  add(slot: number, response: StoredResponse): void {
    this.#bySlot.set(slot, response);
    for (const [oldest, known] of this.#bySlot) {
      if (this.#bySlot.size <= this.#max || oldest === slot) return;
      this.#bySlot.delete(oldest);
      if (known.body.isHeld) this.#bySlot.set(oldest, known);
    }
  }
}
