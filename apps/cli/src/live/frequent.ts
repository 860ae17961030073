/**
 * Which keys weigh most in a stream of more keys than there is memory for: at most `capacity` are kept. When they are too many, the median of their weights is
 * taken off each, and those that have nothing left go; so no weight is ever told too high, and none too low by more than {@link Frequent.error}.
 *
 * @see https://datasketches.apache.org/docs/Frequency/FrequentItemsOverview.html (Misra-Gries, with the median as its step)
 */
export class Frequent {
  readonly #capacity: number;
  #weights = new Map<string, number>();
  #error = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How much more than it says each key may weigh. A key that is not among them weighs at most this. */
  get error(): number {
    return this.#error;
  }

  add(key: string, weight: number): void {
    this.#weights.set(key, (this.#weights.get(key) ?? 0) + weight);
    if (this.#weights.size > this.#capacity) this.#makeRoom();
  }

  entries(): Iterable<[key: string, weight: number]> {
    return this.#weights;
  }

  #makeRoom(): void {
    const sorted = [...this.#weights.values()].sort((one, other) => one - other);
    const median = sorted[sorted.length >> 1]!;
    this.#error += median;
    const left = new Map<string, number>();
    for (const [key, weight] of this.#weights) if (weight > median) left.set(key, weight - median);
    this.#weights = left;
  }
}
