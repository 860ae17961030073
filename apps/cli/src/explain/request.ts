import type { ExplainQuestion, Explanation } from "@proj/cache";
import * as v from "valibot";

/** Host, path and query as they stand: an operator names a resource by the address that clients use. */
const URL_TEXT = /^(?:https?:\/\/([^/?#\s]+))?(\/[^#\s]*)$/i;
const URL_CHARS_MAX = 8192;
const HEADERS_MAX = 100;

const USAGE =
  'say "url" (an http URL, or a path that begins with /), and, if wanted, "method", "headers" (a list of "Name: value"), and "fetch": true';

const ExplainRequestSchema = v.strictObject(
  {
    url: v.pipe(
      v.string(USAGE),
      v.maxLength(URL_CHARS_MAX, `url has at most ${URL_CHARS_MAX} characters`),
      v.regex(URL_TEXT, "url is an http URL, or a path that begins with /"),
    ),
    method: v.optional(v.pipe(v.string(USAGE), v.regex(/^[A-Z]{1,32}$/, "method is one in capital letters")), "GET"),
    headers: v.optional(
      v.pipe(
        v.array(v.pipe(v.string(USAGE), v.regex(/^[^:\s]+:/, "a header is written as Name: value")), USAGE),
        v.maxLength(HEADERS_MAX, `there are at most ${HEADERS_MAX} headers`),
      ),
      [],
    ),
    fetch: v.optional(v.boolean("fetch is true or false"), false),
  },
  USAGE,
);

/** What `POST /api/explain` takes. */
export type ExplainRequest = v.InferInput<typeof ExplainRequestSchema>;

/** What the API answers. */
export type ExplainAnswer = Explanation & {
  url: string;
  /** With `fetch`: what a client has just been answered. */
  fetched?: { status: number; cacheStatus: string | null };
};

/** The question that a request asks, and whether it is to be fetched first; a text that says what is wrong with it. */
export function readExplainRequest(
  value: unknown,
): { question: ExplainQuestion; url: string; fetch: boolean } | string {
  const parsed = v.safeParse(ExplainRequestSchema, value);
  if (!parsed.success) return parsed.issues[0].message;
  const { url, method, headers, fetch } = parsed.output;
  const [, host, path = ""] = URL_TEXT.exec(url) ?? [];
  const fields = headers.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  const named = fields.find(([name]) => name.toLowerCase() === "host")?.[1] ?? host;
  return { question: { ...(named !== undefined && { host: named }), path, method, fields }, url, fetch };
}
