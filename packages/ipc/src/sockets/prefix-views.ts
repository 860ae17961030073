/** Views that are kept, by the last bits of their length. */
const KEPT = 64;

/**
 * Views of the first bytes of a memory that is used again and again. To make a view takes longer than a small write (150 ns, with what the collector has of it); most of what is read and written has
 * one of few lengths, so the view that was made for the last of each is given out again.
 *
 * @example
 * const views = PrefixViews.over(new Uint8Array(65_536));
 * views.of(100) === views.of(100); // true: whoever is lent it must not keep it
 */
export class PrefixViews {
  readonly #memory: Uint8Array;
  readonly #views: Uint8Array[];

  private constructor(memory: Uint8Array) {
    this.#memory = memory;
    this.#views = Array.from({ length: KEPT }, () => memory);
  }

  /** @param memory It stays the caller's, and must not be detached. */
  static over(memory: Uint8Array): PrefixViews {
    return new PrefixViews(memory);
  }

  /** The first `length` bytes. */
  of(length: number): Uint8Array {
    const known = this.#views[length % KEPT]!;
    if (known.length === length) return known;
    const view = this.#memory.subarray(0, length);
    this.#views[length % KEPT] = view;
    return view;
  }
}
