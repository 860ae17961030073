/** What the request's preconditions come to (RFC 9110 section 13.2.2): go on, or answer with this status. */
export type Verdict = "go-on" | 304 | 412;

/** What this origin says of a file: both validators are always there. */
export interface Validators {
  /** A strong entity tag with its quotes. */
  etag: string;
  /** Milliseconds since the epoch, whole seconds. */
  lastModifiedMs: number;
}

/** RFC 9110 section 13.2.2, for GET and HEAD: entity tags are asked first, dates only where there is none. */
export function evaluate(fields: Headers, current: Validators): Verdict {
  const ifMatch = fields.get("if-match");
  const ifUnmodifiedSince = dateOf(fields.get("if-unmodified-since"));
  if (ifMatch !== null) {
    if (!listsStrongly(ifMatch, current.etag)) return 412;
  } else if (ifUnmodifiedSince !== undefined && current.lastModifiedMs > ifUnmodifiedSince) return 412;

  const ifNoneMatch = fields.get("if-none-match");
  const ifModifiedSince = dateOf(fields.get("if-modified-since"));
  if (ifNoneMatch !== null) return listsWeakly(ifNoneMatch, current.etag) ? 304 : "go-on";
  return ifModifiedSince !== undefined && current.lastModifiedMs <= ifModifiedSince ? 304 : "go-on";
}

/**
 * True when a Range field is to be obeyed: there is no If-Range, or it names this very content. A date is a strong validator only
 * once the second it names is over (RFC 9110 section 8.8.2.2).
 */
export function rangeApplies(ifRange: string | null, current: Validators, nowMs: number): boolean {
  if (ifRange === null) return true;
  if (ifRange.startsWith('"')) return ifRange === current.etag;
  return dateOf(ifRange) === current.lastModifiedMs && nowMs - current.lastModifiedMs >= 1000;
}

function listsStrongly(list: string, etag: string): boolean {
  return list.trim() === "*" || entityTags(list).includes(etag);
}

function listsWeakly(list: string, etag: string): boolean {
  return list.trim() === "*" || entityTags(list).some((tag) => tag === etag || tag === `W/${etag}`);
}

/** The tags of a list; a comma may stand inside one (RFC 9110 section 8.8.3). */
function entityTags(list: string): string[] {
  return list.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
}

const IMF_FIXDATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

/** A date in the one form that senders may use; any other is ignored, as RFC 9110 section 13.1.3 has it for what is no date. */
function dateOf(text: string | null): number | undefined {
  if (text === null || !IMF_FIXDATE.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
