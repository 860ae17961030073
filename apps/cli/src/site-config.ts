import * as v from "valibot";
import { about, duration, listOf, text, yesOrNo } from "./option-values.ts";
import { originFault } from "./origin.ts";

/** `example.org`, `*.example.org`, `example.org:8443`, `[::1]:8080`. */
const HOST =
  /^(?:(?!.*\.\.)(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;
/** Segments of what a path may hold without being encoded: one that needs no interpretation. */
const PATH = /^\/(?:(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~!$&'()+,=:@-]+\/?)*$/;
const PATTERN = /^[/*][A-Za-z0-9._~!$&'()+,=:@%/*-]*$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const PARAMETER = /^[^&=;#\s]+$/;
/** Each is looked at for some requests. */
const SITES_MAX = 1000;
const RULES_MAX = 1000;

/** Fields that the cache never sees, or that say nothing about which response it is: a key that held one would hold nothing. */
const NOT_IN_KEY =
  /^(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-length|expect|proxy-.*|range|if-.*|cache-control|pragma|forwarded|via|x-forwarded-(?!(?:proto|host)$).*|x-real-ip|x-original-.*|x-rewrite-.*|x-http-method.*)$/i;

const parameterNames = v.array(v.pipe(v.string(), v.regex(PARAMETER)));

const Query = v.union(
  [v.strictObject({ only: parameterNames }), v.strictObject({ ignore: parameterNames })],
  'it says which parameters of the query count: { only: ["id"] }, or all but some: { ignore: ["utm_*"] }; a * at the end of a name is for all that begin so',
);

export const KeyEntries = {
  query: v.optional(
    about(
      Query,
      "{ only: [NAME, ...] } or { ignore: [NAME, ...] }",
      "which parameters of the query count; a name may end with `*`. In doubt a parameter counts. Default: all, in the order they came in",
    ),
  ),
  forward: v.optional(
    about(
      v.picklist(
        ["counted", "all"],
        'it is "counted", so that the origin gets what counts, or "all", so that it gets what the client sent',
      ),
      '"counted" or "all"',
      "with `query`, and needed there: whether the origin gets the parameters that count, or all that the client sent. With `all` what does not count must change nothing in the response: who asks first decides for everybody",
    ),
  ),
  headers: v.optional(
    about(
      v.array(
        v.pipe(
          v.string("it must be the name of a request header"),
          v.regex(FIELD_NAME, "it must be the name of a request header"),
          v.check(
            (name) => !NOT_IN_KEY.test(name),
            "this one can not be in the key: it is of the connection, changed on the way, or not about which response is wanted",
          ),
        ),
        "it must be a list of names of request headers",
      ),
      "[NAME, ...]",
      "request headers that count, as if the origin named them in Vary; of what this proxy says of a client `X-Forwarded-Proto` and `X-Forwarded-Host`, which the origin is told where they count",
    ),
  ),
};

export const RuleEntries = {
  path: about(
    listOf(
      v.pipe(
        text(),
        v.regex(
          PATTERN,
          "a pattern begins with / or *, and holds what a path may hold, without query; * is any run of characters",
        ),
      ),
      "name at least one pattern",
    ),
    "PATTERN or [PATTERN, ...]",
    "the paths it is about, as clients ask for them, without query; `*` is any run of characters: `/api/*`, `*.css`. Needed",
  ),
  bypass: v.optional(
    about(yesOrNo(), "true or false", "nothing is stored, and nothing stored answers. No other field beside it"),
  ),
  ttl: v.optional(
    about(
      duration(),
      "DURATION",
      "for how long a good response (200, 203, 204, 206, 300, 301, 308) is fresh from its arrival on, in place of max-age, s-maxage, Expires and guesses. What forbids to store (`no-store`, `private`, credentials, a cookie with a response that is not said to be shared) and `no-cache` stay in force",
    ),
  ),
  staleWhileRevalidate: v.optional(
    about(
      duration(),
      "DURATION",
      "for how long after that it is sent stale while it is validated, in place of what the origin says; not against `must-revalidate`",
    ),
  ),
  staleIfError: v.optional(
    about(duration(), "DURATION", "for how long it is sent stale when the origin fails; likewise"),
  ),
  key: v.optional(
    about(
      v.pipe(
        v.strictObject(KeyEntries, "it must be an object with query and forward, headers, or all of them"),
        v.rawCheck(({ dataset, addIssue }) => {
          if (!dataset.typed) return;
          const { query, forward } = dataset.value;
          if (query !== undefined && forward === undefined)
            addIssue({
              message:
                'where not all of the query counts, say what the origin gets: forward: "counted", or forward: "all" if what does not count changes nothing in its answer',
              path: [at(dataset.value, "forward")],
            });
          if (query === undefined && forward !== undefined)
            addIssue({ message: "there is no query that it could be about", path: [at(dataset.value, "forward")] });
        }),
      ),
      "KEY",
      "what tells responses apart, beside site and path",
    ),
  ),
};

const Rule = v.pipe(
  v.strictObject(RuleEntries, "it must be an object with path and what is to hold there"),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { path: _, bypass, ...others } = dataset.value;
    const [other] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
    if (other === undefined && bypass === undefined)
      addIssue({ message: "it decides nothing: give it bypass, ttl, staleWhileRevalidate, staleIfError or key" });
    if (other !== undefined && bypass === true)
      addIssue({
        message: "it has no effect beside bypass, by which nothing is kept; make two rules, the narrower one first",
        path: [at(dataset.value, other)],
      });
  }),
);

export const Rules = v.pipe(
  v.array(Rule, "it must be a list of rules"),
  v.maxLength(RULES_MAX, `there can be at most ${RULES_MAX} rules`),
);

/** Origins as `--origin` has them: a directory, "demo", or URLs. */
export const Origins = v.pipe(
  listOf(text(), "name an origin"),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? originFault(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);

export const SiteEntries = {
  name: about(
    v.pipe(
      v.string("it must be a text"),
      v.regex(
        /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
        "a name has 1 to 63 letters, digits, - and _, and begins with a letter or a digit",
      ),
    ),
    "TEXT",
    "1 to 63 letters, digits, - and _; in the keys of what is stored. Needed",
  ),
  hosts: v.optional(
    about(
      listOf(
        v.pipe(
          text(),
          v.regex(
            HOST,
            "a host is a name such as example.org, *.example.org for all below it, or an IP address, each with a port if only that is meant",
          ),
        ),
        "leave it out for every host",
      ),
      "HOST or [HOST, ...]",
      "`example.org`, `*.example.org` for all below it, `example.org:8443` for one port. Default: every host, and GETFILE, which names none",
    ),
  ),
  path: v.optional(
    about(
      v.pipe(
        text(),
        v.regex(
          PATH,
          "a path begins with /, and holds no query, nothing percent-encoded, no empty segment, and no . or .. segment",
        ),
      ),
      "PATH",
      "what its paths begin with: `/blog` is itself and all below. Of several that fit the longest counts. Default `/`",
    ),
  ),
  stripPath: v.optional(about(yesOrNo(), "true or false", "take `path` off before the origin is asked. Default false")),
  origin: about(Origins, "ORIGIN or [URL, ...]", "as the option of this name. Needed"),
  rules: v.optional(about(Rules, "[RULE, ...]", "what holds for its paths. The first rule whose path fits is the one")),
};

export const Sites = v.pipe(
  v.array(v.strictObject(SiteEntries, "it must be an object with name and origin"), "it must be a list of sites"),
  v.maxLength(SITES_MAX, `there can be at most ${SITES_MAX} sites`),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const taken = new Map<string, string>();
    const take = (what: string, index: number, key: string, message: (by: string) => string) => {
      const by = taken.get(what);
      taken.set(what, by ?? `sites[${index}]`);
      const site = dataset.value[index]!;
      const path: [v.IssuePathItem, v.IssuePathItem] = [atIndex(dataset.value, index), at(site, key)];
      if (by !== undefined) addIssue({ message: message(by), path });
    };
    for (const [index, { name, hosts = ["*"], path = "/" }] of dataset.value.entries()) {
      take(`name ${name.toLowerCase()}`, index, "name", (by) => `${by} has this name too`);
      for (const host of hosts) {
        const place = `${host.toLowerCase()}${path.replace(/\/$/, "")}`;
        take(`place ${place}`, index, host === "*" ? "path" : "hosts", (by) => `${by} is for the same host and path`);
      }
    }
  }),
);

export type SiteOptions = v.InferOutput<typeof Sites>[number];
export type RuleOptions = v.InferOutput<typeof Rules>[number];

function at(input: object, key: string): v.ObjectPathItem {
  const record = input as Record<string, unknown>;
  return { type: "object", origin: "value", input: record, key, value: record[key] };
}

function atIndex(input: unknown[], key: number): v.ArrayPathItem {
  return { type: "array", origin: "value", input, key, value: input[key] };
}
