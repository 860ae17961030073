import { type ByteRange, completionFields, conditionalFields, type Fields, parseRange } from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import { fillFields, passFields } from "./origin-request.ts";
import type { Selection } from "./selection.ts";
import type { StoredResponse } from "./stored-response.ts";

/** What a fill asks the origin for. */
export type FillAsk =
  /** The whole response. What is stored is validated by it: what was selected, and other variants that the origin may choose (RFC 9111 section 4.3.1). */
  | { kind: "whole"; selected: StoredResponse | undefined; candidates: readonly StoredResponse[] }
  /** The part that the client wants, in its own words. `selected`: what is stored and would do, if it were fresh. */
  | { kind: "range"; selected: StoredResponse | undefined }
  /** What is missing behind a stored prefix. */
  | { kind: "rest"; stored: StoredResponse; missing: ByteRange }
  /** What the client sent, as it is. HEAD may say something of what is stored. */
  | { kind: "as-sent"; stored: StoredResponse | undefined };

/** So many tags go into one If-None-Match. */
const CANDIDATES_MAX = 16;

/** What to ask for a request that what is stored does not answer. */
export function askFor(request: ClientRequest, selection: Selection): FillAsk {
  if (request.method === "HEAD") {
    return { kind: "as-sent", stored: selection.kind === "stored" ? selection.stored : undefined };
  }
  const wantsOneRange = request.range !== undefined && parseRange(request.range)?.length === 1;
  if (selection.kind === "incomplete") {
    return wantsOneRange ? { kind: "range", selected: undefined } : askForRest(selection.stored);
  }
  const selected = selection.kind === "stored" ? selection.stored : undefined;
  const isPart = selected?.onlyForRange !== undefined || selected?.parts?.isComplete === false;
  // Where a whole response is stored, it is validated, and its range served.
  if (wantsOneRange && (selected === undefined || isPart)) return { kind: "range", selected };
  return { kind: "whole", selected: isPart ? undefined : selected, candidates: selection.candidates };
}

function askForRest(stored: StoredResponse): FillAsk {
  const [prefix, ...others] = stored.parts?.held ?? [];
  if (prefix?.start === 0 && others.length === 0) {
    return { kind: "rest", stored, missing: { start: prefix.end, end: stored.bodyBytes } };
  }
  return { kind: "whole", selected: undefined, candidates: [] };
}

/** The request fields that ask so. `isConditional`: a 304 is an answer. */
export function askFields(
  ask: FillAsk,
  request: ClientRequest,
  nowMs: number,
): { fields: Fields; isConditional: boolean } {
  switch (ask.kind) {
    case "as-sent":
      return { fields: passFields(request), isConditional: true };
    case "range":
      return { fields: fillFields(request, rangeFields(request)), isConditional: false };
    case "rest": {
      const own = completionFields(ask.stored.fields, ask.missing, ask.stored.bodyBytes, nowMs);
      return { fields: fillFields(request, own), isConditional: false };
    }
    case "whole": {
      const others = ask.candidates.slice(-CANDIDATES_MAX).map((stored) => stored.fields);
      const own = conditionalFields(ask.selected?.fields, others);
      return { fields: fillFields(request, own), isConditional: own.length > 0 };
    }
  }
}

function rangeFields(request: ClientRequest): [string, string][] {
  const own: [string, string][] = [["Range", request.range ?? ""]];
  const ifRange = request.fields.get("if-range");
  if (ifRange !== undefined) own.push(["If-Range", ifRange]);
  return own;
}
