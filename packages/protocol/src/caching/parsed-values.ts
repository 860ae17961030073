/** So many values, of so many characters at most, are known at once: what a peer can vary without end takes no more than that. */
const VALUES_MAX = 256;
const LENGTH_MAX = 256;

/** What values of a field mean, each parsed once as long as it is among those that came lately. What is given must not be changed by anybody. */
export class ParsedValues<Parsed> {
  readonly #parse: (value: string) => Parsed;
  readonly #lately = new Map<string, Parsed>();

  /** @param parse Depends on nothing but the value. */
  constructor(parse: (value: string) => Parsed) {
    this.#parse = parse;
  }

  of(value: string): Parsed {
    const known = this.#lately.get(value);
    if (known !== undefined) return known;
    const parsed = this.#parse(value);
    if (value.length > LENGTH_MAX) return parsed;
    if (this.#lately.size === VALUES_MAX) this.#lately.clear();
    this.#lately.set(value, parsed);
    return parsed;
  }
}
