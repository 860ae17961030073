import { isToken } from "./list-members.ts";

/** One cache directive as it stood in a field (RFC 9111 section 5.2). */
export interface Directive {
  /** In lower case. */
  readonly name: string;
  /** Token or unescaped quoted-string; undefined when there was none or it could not be read. */
  readonly argument: string | undefined;
  /** What followed a `;`: a fault in Cache-Control, the target in Surrogate-Control. */
  readonly parameter: string | undefined;
  /** The name was readable, what stood around it was not: restrict, never permit, on the strength of it. */
  readonly malformed: boolean;
}

/**
 * Every directive of a Cache-Control-like field value, in order, readable or not.
 *
 * Nothing is skipped because it stands beside a fault: `no-store;x`, `private max-age=5` and `a="b, no-store` all still
 * say no-store or private. What such a fault touches is marked `malformed`, and so is everything behind a quoted-string
 * that does not end where it should: then no quote in the value is believed any more. Takes any string, never throws,
 * reads each character at most twice.
 *
 * @param value One field line: a quote that one line opens is not closed by the next.
 */
export function parseDirectives(value: string): Directive[] {
  const directives: Directive[] = [];
  const reader = new DirectiveReader(value);
  for (let next = reader.next(); next !== undefined; next = reader.next()) directives.push(next);
  return directives;
}

class DirectiveReader {
  #at = 0;
  /** Behind a broken quote nothing can be trusted to permit anything. */
  #distrust = false;
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  next(): Directive | undefined {
    this.#skip(" \t,");
    if (this.#at >= this.#value.length) return undefined;
    const name = this.#run();
    const spaceBefore = this.#skip(" \t");
    let malformed = this.#distrust || !isToken(name);
    let argument: string | undefined;
    if (this.#value[this.#at] === "=") {
      this.#at++;
      const spaceAfter = this.#skip(" \t");
      const isQuoted = this.#value[this.#at] === '"' && !this.#distrust;
      argument = isQuoted ? this.#quotedString() : this.#token();
      malformed ||= spaceBefore || spaceAfter || argument === undefined;
      this.#skip(" \t");
    }
    const parameter = this.#parameter();
    // Whatever stands here and is no comma belongs to nobody: "max-age=3600 no-store", "max-age="5"0".
    if (this.#at < this.#value.length && this.#value[this.#at] !== ",") malformed = true;
    return { name: name.toLowerCase(), argument, parameter, malformed };
  }

  #parameter(): string | undefined {
    if (this.#value[this.#at] !== ";") return undefined;
    this.#at++;
    const start = this.#at;
    while (this.#at < this.#value.length && this.#value[this.#at] !== ",") this.#at++;
    return this.#value.slice(start, this.#at).trim();
  }

  #token(): string | undefined {
    const token = this.#run();
    return isToken(token) ? token : undefined;
  }

  #quotedString(): string | undefined {
    const opening = this.#at;
    let text = "";
    for (this.#at++; this.#at < this.#value.length && this.#value[this.#at] !== '"'; this.#at++) {
      if (this.#value[this.#at] === "\\") this.#at++;
      text += this.#value[this.#at] ?? "";
    }
    this.#at++;
    if (this.#at <= this.#value.length && this.#isAtEndOfValue()) return text;
    this.#at = opening + 1;
    this.#distrust = true;
    return undefined;
  }

  #isAtEndOfValue(): boolean {
    const closing = this.#at;
    this.#skip(" \t");
    const next = this.#value[this.#at];
    this.#at = closing;
    return next === undefined || next === "," || next === ";";
  }

  /** Up to what ends a name or a token; a `=` in the first place does not, so that the reader always moves on. */
  #run(): string {
    const start = this.#at;
    for (; this.#at < this.#value.length; this.#at++) {
      const char = this.#value[this.#at];
      if (char === "," || char === ";" || char === " " || char === "\t") break;
      if (char === "=" && this.#at > start) break;
    }
    return this.#value.slice(start, this.#at);
  }

  #skip(chars: string): boolean {
    const start = this.#at;
    while (this.#at < this.#value.length && chars.includes(this.#value[this.#at] ?? "")) this.#at++;
    return this.#at > start;
  }
}
