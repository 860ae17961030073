/** A range of a file, in bytes: `offset` and `length` lie within it. */
export type RangeRequest =
  | { kind: "whole" }
  | { kind: "range"; offset: number; length: number }
  | { kind: "unsatisfiable" };

const WHOLE: RangeRequest = { kind: "whole" };
const BYTES_RANGE = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/i;

/**
 * What a Range field asks of a file of `size` bytes (RFC 9110 section 14.2). More than one range, another unit and what is
 * malformed are answered with the whole file, which the section allows.
 */
export function parseRange(field: string | null, size: number): RangeRequest {
  const match = field === null ? null : BYTES_RANGE.exec(field.replaceAll(/[ \t]/g, ""));
  if (match === null) return WHOLE;
  const [, firstText, lastText, suffixText] = match;
  if (firstText === undefined) return suffix(Number(suffixText), size);
  const first = Number(firstText);
  const last = lastText === "" || lastText === undefined ? Number.POSITIVE_INFINITY : Number(lastText);
  if (last < first) return WHOLE;
  return first >= size
    ? { kind: "unsatisfiable" }
    : { kind: "range", offset: first, length: Math.min(last + 1, size) - first };
}

function suffix(wanted: number, size: number): RangeRequest {
  const length = Math.min(wanted, size);
  return length === 0 ? { kind: "unsatisfiable" } : { kind: "range", offset: size - length, length };
}
