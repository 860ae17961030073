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
 */
export class KnownResponses {
  readonly #max: number;
  /** The one that was wanted last is last. */
  readonly #bySlot = new Map<number, StoredResponse>();

  /** @param max So many are kept. */
  constructor(max: number) {
    this.#max = max;
  }

  /** The object that stands for the entry in `slot`, if there is one: it is wanted. */
  get(slot: number): StoredResponse | undefined {
    const known = this.#bySlot.get(slot);
    if (known === undefined) return undefined;
    this.#bySlot.delete(slot);
    this.#bySlot.set(slot, known);
    return known;
  }

  /** As {@link get}, but it is forgotten no later for that. */
  peek(slot: number): StoredResponse | undefined {
    return this.#bySlot.get(slot);
  }

  /** `response` stands for the entry in `slot` from now on. */
  add(slot: number, response: StoredResponse): void {
    this.#bySlot.delete(slot);
    this.#bySlot.set(slot, response);
    for (const [oldest, known] of this.#bySlot) {
      if (this.#bySlot.size <= this.#max || oldest === slot) return;
      this.#bySlot.delete(oldest);
      if (known.body.isHeld) this.#bySlot.set(oldest, known);
    }
  }

  delete(slot: number): void {
    this.#bySlot.delete(slot);
  }
}
