import type { Purge } from "@proj/cache";
import * as v from "valibot";

/** Host, path and query as they stand: an operator names a resource by the address that clients use. */
const URL_TEXT = /^(?:https?:\/\/([^/?#\s]+))?(\/[^#\s]*)$/i;
const TEXT_CHARS_MAX = 8192;
/** A pattern is matched against everything that is stored. */
const PATTERN_CHARS_MAX = 512;

const path = v.pipe(
  v.string("it is a text"),
  v.maxLength(TEXT_CHARS_MAX, `it has at most ${TEXT_CHARS_MAX} characters`),
  v.regex(URL_TEXT, "it is an http URL, or a path that begins with /"),
  v.transform((text) => {
    const [, host, target = ""] = URL_TEXT.exec(text) ?? [];
    return { ...(host !== undefined && { host }), target };
  }),
);
const isTrue = v.literal(true, "it is true or left out");
const flags = {
  soft: v.optional(v.boolean("it is true or false"), false),
  dryRun: v.optional(v.boolean("it is true or false"), false),
};

const PurgeRequestSchema = v.union(
  [
    v.strictObject({ url: path, ...flags }),
    v.strictObject({ prefix: path, ...flags }),
    v.strictObject({ pattern: v.pipe(v.string(), v.nonEmpty(), v.maxLength(PATTERN_CHARS_MAX)), ...flags }),
    v.strictObject({ tag: v.pipe(v.string(), v.nonEmpty(), v.maxLength(TEXT_CHARS_MAX)), ...flags }),
    v.strictObject({ all: isTrue, ...flags }),
  ],
  `say one of "url" or "prefix" (an http URL, or a path that begins with /), "pattern" (at most ${PATTERN_CHARS_MAX} characters, * for any run of them), "tag", or "all": true; and, if wanted, "soft": true and "dryRun": true`,
);

/** What `POST /api/purge` takes, and what `webproxy purge` sends. */
export type PurgeRequest = v.InferInput<typeof PurgeRequestSchema>;

/** What the API answers. */
export interface PurgeAnswer {
  /** Stored responses that are gone, or stale; with `dryRun`, that would be. */
  purged: number;
  /** What their bodies took. */
  bodyBytes: number;
  soft: boolean;
  dryRun: boolean;
  /** Where nodes share what they store: who had applied it when this was said, and who will before it serves from the shared tier again. */
  nodes?: { applied: readonly string[]; missing: readonly string[] };
}

/** The purge that a request asks for; a text that says what is wrong with it. */
export function readPurgeRequest(value: unknown): Purge | string {
  const parsed = v.safeParse(PurgeRequestSchema, value);
  if (!parsed.success) return parsed.issues[0].message;
  const { soft, dryRun } = parsed.output;
  return { selector: selectorOf(parsed.output), soft, dryRun };
}

function selectorOf(request: v.InferOutput<typeof PurgeRequestSchema>): Purge["selector"] {
  if ("url" in request) return { by: "url", ...request.url };
  if ("prefix" in request) {
    const { target: prefix, ...site } = request.prefix;
    return { by: "prefix", ...site, prefix };
  }
  if ("pattern" in request) return { by: "pattern", pattern: request.pattern };
  if ("tag" in request) return { by: "tag", tag: request.tag };
  return { by: "all" };
}
