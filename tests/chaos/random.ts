/** Numbers that look random and are the same for the same seed (mulberry32). */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 1, 1 excluded. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** From `low` to `high`, whole, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.between(0, values.length - 1)]!;
  }
}

/** Gives all its values in an order that the numbers decide, and then all of them again in another. */
export class Deck<Value> {
  readonly #values: readonly Value[];
  readonly #random: SeededRandom;
  #left: Value[] = [];

  constructor(values: readonly Value[], random: SeededRandom) {
    this.#values = values;
    this.#random = random;
  }

  next(): Value {
    if (this.#left.length === 0) this.#left = [...this.#values];
    return this.#left.splice(this.#random.between(0, this.#left.length - 1), 1)[0]!;
  }
}
