/**
 * The titles under which a test file registers tests and groups of them, as they stand in its source. A title is the first argument of a call of `test`, `it` or
 * `describe`, and nothing else in the file is: no comment, no assertion, no other string.
 */

/** Parts of the language, as far as they are needed to know where a string begins: `text` of a string is what stands between its quotes. */
interface Token {
  kind: "word" | "string" | "other";
  text: string;
}

const REGISTRARS = new Set(["test", "it", "describe"]);
/** `test.each(rows)(title, …)`: the title is the first argument of the second call. */
const TAKES_ARGUMENTS = new Set(["each", "if", "skipIf", "todoIf", "failingIf", "concurrentIf", "serialIf"]);
/** What is registered with any other (`skip`, `todo`, `failing`) does not run, or is expected to fail: it holds nothing. */
const RUNS_ALL_THE_SAME = new Set(["only", "concurrent", "serial"]);
/** After these words, as after an operator, a slash begins a regular expression. */
const BEFORE_EXPRESSION = new Set(["return", "typeof", "case", "in", "of", "await", "yield", "void", "delete", "else"]);

/** Titles of tests and groups in `source`, in its order; of `each`, with the placeholders. Without those of `skip`, `todo` and `failing`. */
export function testTitles(source: string): string[] {
  const tokens = tokensOf(source);
  return tokens.flatMap((token, index) => {
    const isRegistrar = token.kind === "word" && REGISTRARS.has(token.text) && !isText(tokens[index - 1], ".");
    const title = isRegistrar ? titleAt(tokens, index + 1) : undefined;
    return title === undefined ? [] : [title];
  });
}

/** The title that a call has, of whose callee `index` is behind the first word; undefined when this is no such call. */
function titleAt(tokens: readonly Token[], index: number): string | undefined {
  let at = index;
  while (isText(tokens[at], ".")) {
    const modifier = tokens[at + 1]?.text ?? "";
    if (TAKES_ARGUMENTS.has(modifier)) at = behindGroup(tokens, at + 2);
    else if (RUNS_ALL_THE_SAME.has(modifier)) at += 2;
    else return undefined;
  }
  const first = tokens[at + 1];
  return isText(tokens[at], "(") && first?.kind === "string" ? first.text : undefined;
}

/** Where it goes on behind the parenthesis that is opened at `at`. */
function behindGroup(tokens: readonly Token[], at: number): number {
  let depth = 0;
  for (let index = at; index < tokens.length; index++) {
    if (isText(tokens[index], "(")) depth++;
    if (isText(tokens[index], ")")) depth--;
    if (depth === 0) return index + 1;
  }
  return tokens.length;
}

function isText(token: Token | undefined, text: string): boolean {
  return token?.kind === "other" && token.text === text;
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < source.length; ) {
    const rest = source.slice(at, at + 2);
    const character = source[at]!;
    const word = /[\w$]/.test(character) ? wordAt(source, at) : undefined;
    if (rest === "//") at = endOr(source.indexOf("\n", at), source);
    else if (rest === "/*") at = endOr(source.indexOf("*/", at) + 2, source);
    else if (/\s/.test(character)) at++;
    else if (word !== undefined) {
      tokens.push({ kind: "word", text: word });
      at += word.length;
    } else if (character === '"' || character === "'" || character === "`") {
      const end = behindQuoted(source, at);
      tokens.push({ kind: "string", text: source.slice(at + 1, end - 1) });
      at = end;
    } else if (character === "/" && expressionMayBegin(tokens.at(-1))) {
      at = behindRegularExpression(source, at);
      tokens.push({ kind: "other", text: "/" });
    } else {
      tokens.push({ kind: "other", text: character });
      at++;
    }
  }
  return tokens;
}

function wordAt(source: string, at: number): string {
  const word = /[\w$]+/y;
  word.lastIndex = at;
  return word.exec(source)![0];
}

const endOr = (end: number, source: string): number => (end <= 1 ? source.length : end);

function expressionMayBegin(before: Token | undefined): boolean {
  if (before === undefined) return true;
  if (before.kind === "word") return BEFORE_EXPRESSION.has(before.text);
  return before.kind === "other" && !/[)\]}/]/.test(before.text);
}

/** Behind the quote that ends what begins at `at`; in a template, expressions may hold further strings. */
function behindQuoted(source: string, at: number): number {
  const quote = source[at];
  for (let index = at + 1; index < source.length; index++) {
    if (source[index] === "\\") index++;
    else if (source[index] === quote) return index + 1;
    else if (quote === "`" && source.startsWith("${", index)) index = behindExpression(source, index + 2) - 1;
  }
  return source.length;
}

/** Behind the brace that ends an expression within a template. */
function behindExpression(source: string, at: number): number {
  let depth = 1;
  for (let index = at; index < source.length; ) {
    const character = source[index]!;
    if (/["'`]/.test(character)) {
      index = behindQuoted(source, index);
      continue;
    }
    if (character === "{") depth++;
    if (character === "}") depth--;
    index++;
    if (depth === 0) return index;
  }
  return source.length;
}

function behindRegularExpression(source: string, at: number): number {
  let isInClass = false;
  for (let index = at + 1; index < source.length; index++) {
    const character = source[index];
    if (character === "\\") index++;
    else if (character === "[") isInClass = true;
    else if (character === "]") isInClass = false;
    else if (character === "\n" || (character === "/" && !isInClass)) return index + 1;
  }
  return source.length;
}
