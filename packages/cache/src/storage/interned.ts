/** Beyond so many, values are written out where they are used: what an origin can vary without end takes no memory here. */
const VALUES_MAX = 4096;

/** Values that many responses share, each kept once and named by a number. */
export class Interned<Value> {
  readonly #values: Value[] = [];
  readonly #numbers = new Map<string, number>();

  /** The number of what `text` stands for; undefined when there are too many. @param make Called when it is not known yet. */
  number(text: string, make: () => Value): number | undefined {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#values.length;
    if (number === VALUES_MAX) return undefined;
    this.#values.push(make());
    this.#numbers.set(text, number);
    return number;
  }

  /** The number of what `text` stands for, where it has one already. */
  numberOf(text: string): number | undefined {
    return this.#numbers.get(text);
  }

  value(number: number): Value {
    return this.#values[number]!;
  }
}
