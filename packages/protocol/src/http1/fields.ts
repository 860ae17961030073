const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are what must not get through
const NOT_FIELD_VALUE = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/;

/**
 * The field lines of one head or trailer section: in the order they came, names in the case they came in, repeated
 * fields repeated (RFC 9110 section 5.3: the order of repeated lines is part of the message).
 *
 * Strings hold one octet in each char (latin1), so what is rendered is byte for byte what was parsed, but for optional
 * whitespace around values. Look-ups take names in lower case only: `fields.get("host")`.
 */
export class Fields {
  private readonly names: string[];
  private readonly values: string[];
  // Lower-cased only for the lines that a look-up's length agrees with: most lines of most heads are never asked for.
  private readonly lowers: (string | undefined)[];
  #changes = 0;

  /**
   * Takes the arrays, which the caller must not touch again and must have checked. For parsers; all others use
   * {@link Fields.from}, or an empty section and {@link add}.
   *
   * @param lowers The names in lower case where they are known already.
   */
  constructor(names: string[] = [], values: string[] = [], lowers: (string | undefined)[] = []) {
    this.names = names;
    this.values = values;
    this.lowers = lowers;
  }

  /**
   * A section with these lines, in this order.
   *
   * @throws {TypeError} A name or value that {@link add} refuses.
   */
  static from(pairs: Iterable<readonly [string, string]>): Fields {
    const fields = new Fields();
    for (const [name, value] of pairs) fields.add(name, value);
    return fields;
  }

  /** How often it was changed since it was made: what was computed of it is good as long as this stays. */
  get changes(): number {
    return this.#changes;
  }

  /** How many lines there are. */
  get length(): number {
    return this.names.length;
  }

  /**
   * The name of line `i` as it was sent.
   *
   * @throws {RangeError} There is no line `i`.
   */
  name(i: number): string {
    return at(this.names, i);
  }

  /**
   * The value of line `i`, without whitespace around it.
   *
   * @throws {RangeError} There is no line `i`.
   */
  value(i: number): string {
    return at(this.values, i);
  }

  /**
   * The name of line `i` in lower case.
   *
   * @throws {RangeError} There is no line `i`.
   */
  lowerName(i: number): string {
    const known = this.lowers[i];
    if (known !== undefined) return known;
    const lower = at(this.names, i).toLowerCase();
    this.lowers[i] = lower;
    return lower;
  }

  /** The values of all lines of that name joined with `", "` (RFC 9110 section 5.3); `undefined` when there is none. */
  get(lowerName: string): string | undefined {
    let joined: string | undefined;
    for (let i = 0; i < this.names.length; i++) {
      if (!this.isNamed(i, lowerName)) continue;
      joined = joined === undefined ? this.values[i]! : `${joined}, ${this.values[i]!}`;
    }
    return joined;
  }

  /** The value of each line of that name, in order. For fields whose values may hold commas, such as Set-Cookie. */
  all(lowerName: string): string[] {
    return this.values.filter((_, i) => this.isNamed(i, lowerName));
  }

  has(lowerName: string): boolean {
    for (let i = 0; i < this.names.length; i++) if (this.isNamed(i, lowerName)) return true;
    return false;
  }

  /** How many lines have that name. */
  count(lowerName: string): number {
    let count = 0;
    for (let i = 0; i < this.names.length; i++) if (this.isNamed(i, lowerName)) count++;
    return count;
  }

  /**
   * Adds a line at the end.
   *
   * @throws {TypeError} The name is not a token, or the value holds a control character or a char above U+00FF. What is
   *   added here has not passed a parser, and a line break in it would be a second message on the wire.
   */
  add(name: string, value: string): void {
    checkFieldLine(name, value);
    this.#changes++;
    this.names.push(name);
    this.values.push(value);
    this.lowers.push(undefined);
  }

  /** Adds the lines of another section at the end, in their order. */
  addAll({ names, values, lowers }: Fields): void {
    this.#changes++;
    for (let i = 0; i < names.length; i++) {
      this.names.push(names[i]!);
      this.values.push(values[i]!);
      this.lowers.push(lowers[i]);
    }
  }

  /** A section of its own with these lines, then those of another. */
  followedBy({ names, values, lowers }: Fields): Fields {
    return new Fields([...this.names, ...names], [...this.values, ...values], [...this.lowers, ...lowers]);
  }

  /**
   * Makes `name: value` the only line of that name, at the place of the first one there was, else at the end.
   *
   * @throws {TypeError} As {@link add}.
   */
  set(name: string, value: string): void {
    checkFieldLine(name, value);
    const lowerName = name.toLowerCase();
    let first = 0;
    while (first < this.names.length && !this.isNamed(first, lowerName)) first++;
    // Past the end when there was none: then this is the line's place too.
    this.names[first] = name;
    this.values[first] = value;
    this.lowers[first] = lowerName;
    this.removeFrom(first + 1, lowerName);
  }

  /** Removes every line of that name. */
  remove(lowerName: string): void {
    this.removeFrom(0, lowerName);
  }

  /** A section of its own with the lines for which `keep` says true. */
  filter(keep: (lowerName: string, value: string) => boolean): Fields {
    const names: string[] = [];
    const values: string[] = [];
    const lowers: string[] = [];
    for (let i = 0; i < this.names.length; i++) {
      const lowerName = this.lowerName(i);
      if (!keep(lowerName, this.values[i]!)) continue;
      names.push(this.names[i]!);
      values.push(this.values[i]!);
      lowers.push(lowerName);
    }
    return new Fields(names, values, lowers);
  }

  /** The lines that have none of these names (in lower case): this very section where all of them stay, so nobody may change it any more. */
  without(lowerNames: ReadonlySet<string>): Fields {
    for (let i = 0; i < this.names.length; i++)
      if (lowerNames.has(this.lowerName(i))) return this.filter((lowerName) => !lowerNames.has(lowerName));
    return this;
  }

  /** `Name: value` CRLF for each line, without the empty line that ends a section. Latin1: one char is one octet. */
  render(): string {
    let lines = "";
    for (let i = 0; i < this.names.length; i++) lines += `${this.names[i]!}: ${this.values[i]!}\r\n`;
    return lines;
  }

  /** Name and value of each line, in order. */
  *[Symbol.iterator](): Iterator<[string, string]> {
    for (let i = 0; i < this.names.length; i++) yield [this.names[i]!, this.values[i]!];
  }

  private isNamed(i: number, lowerName: string): boolean {
    return this.names[i]!.length === lowerName.length && this.lowerName(i) === lowerName;
  }

  private removeFrom(first: number, lowerName: string): void {
    this.#changes++;
    let kept = first;
    for (let i = first; i < this.names.length; i++) {
      if (this.isNamed(i, lowerName)) continue;
      this.names[kept] = this.names[i]!;
      this.values[kept] = this.values[i]!;
      this.lowers[kept] = this.lowers[i];
      kept++;
    }
    this.names.length = kept;
    this.values.length = kept;
    this.lowers.length = kept;
  }
}

function at(strings: string[], i: number): string {
  const found = strings[i];
  if (found === undefined) throw new RangeError(`Cannot read field line ${i} of ${strings.length}`);
  return found;
}

function checkFieldLine(name: string, value: string): void {
  if (!FIELD_NAME.test(name)) throw new TypeError(`Cannot add field ${JSON.stringify(name)}: the name is not a token`);
  if (!NOT_FIELD_VALUE.test(value)) return;
  throw new TypeError(`Cannot add field "${name}": its value holds a control character or a char above U+00FF`);
}
