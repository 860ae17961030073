import type { Fields } from "../http1/fields.ts";
import type { ByteRange } from "./byte-range.ts";

/** What a 206 carries: these bytes, of a whole of so many, undefined when the origin does not say (`*`). */
export interface ContentRange extends ByteRange {
  readonly completeBytes: number | undefined;
}

const CONTENT_RANGE = /^bytes ([0-9]{1,16})-([0-9]{1,16})\/([0-9]{1,16}|\*)$/i;

/**
 * The single Content-Range of a 206 (RFC 9110 section 14.4); undefined when there is none, or more than one, or it
 * contradicts itself, or counts past 2^53.
 */
export function parseContentRange(fields: Fields): ContentRange | undefined {
  const lines = fields.all("content-range");
  const match = lines.length === 1 ? CONTENT_RANGE.exec(lines[0] ?? "") : null;
  if (match === null) return undefined;
  const [, first = "", last = "", complete = ""] = match;
  const start = Number(first);
  const end = Number(last) + 1;
  const completeBytes = complete === "*" ? undefined : Number(complete);
  const isValid = start < end && end <= (completeBytes ?? Number.MAX_SAFE_INTEGER);
  return isValid && (completeBytes ?? 0) <= Number.MAX_SAFE_INTEGER ? { start, end, completeBytes } : undefined;
}

/** `bytes 0-4/10`. */
export function renderContentRange({ start, end }: ByteRange, completeBytes: number): string {
  return `bytes ${start}-${end - 1}/${completeBytes}`;
}

/** The Content-Range of a 416: how long the whole is (RFC 9110 section 15.5.17). */
export function renderUnsatisfiedRange(completeBytes: number): string {
  return `bytes */${completeBytes}`;
}
