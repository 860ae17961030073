// C0 but not line feed and tab, DEL, C1; line and paragraph separators; the marks that turn the direction of text.
const IN_JSON = /[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this must find
const IN_TEXT = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A line of JSON with what `JSON.stringify` leaves as it is, and a terminal obeys, written as `\u009b`: still the same JSON value. */
export function escapeControls(jsonLine: string): string {
  return jsonLine.replace(IN_JSON, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The value with every control character in every text inside shown as `\x1b` or `\u202e`: safe on a terminal, in one line. */
export function withoutControls(value: unknown): unknown {
  if (typeof value === "string") return value.replace(IN_TEXT, shown);
  if (Array.isArray(value)) return value.map(withoutControls);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [String(withoutControls(name)), withoutControls(inner)]),
  );
}

function shown(character: string): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
}
