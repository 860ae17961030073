import { type Dictionary, isInnerList, parseDictionary, Token } from "structured-headers";
import { ofSameFields } from "../http1/of-same-fields.ts";
import { type CacheControl, cacheControlFrom, parseCacheControl } from "./cache-control.ts";
import { type Directive, parseDirectives } from "./directives.ts";
import { listMembers } from "./list-members.ts";

/** The directives that govern a response here, and the field they came from. */
export interface EffectiveCacheControl {
  readonly source: "cdn-cache-control" | "surrogate-control" | "cache-control";
  readonly control: CacheControl;
}

/** This cache's name in Surrogate-Capability, and so the target it answers to in Surrogate-Control. */
export const SURROGATE_NAME = "webproxy";

/** What a surrogate says of itself in each request it forwards (W3C Edge Architecture, section 2.1). */
export const SURROGATE_CAPABILITY = `${SURROGATE_NAME}="Surrogate/1.0"`;

/**
 * The cache directives of a response that count for this cache (RFC 9213 section 2.2).
 *
 * The first usable one of CDN-Cache-Control, Surrogate-Control, Cache-Control; where one of the first two is used,
 * Cache-Control and Expires have no say: compare `source`.
 */
export const effectiveCacheControl = ofSameFields((response): EffectiveCacheControl => {
  const cdn = response.get("cdn-cache-control");
  const cdnDirectives = cdn === undefined ? undefined : parseTargeted(cdn);
  if (cdnDirectives !== undefined) return { source: "cdn-cache-control", control: cacheControlFrom(cdnDirectives) };
  const surrogateDirectives = response.has("surrogate-control")
    ? parseSurrogate(response.all("surrogate-control"))
    : undefined;
  if (surrogateDirectives !== undefined) {
    return { source: "surrogate-control", control: cacheControlFrom(surrogateDirectives) };
  }
  return { source: "cache-control", control: parseCacheControl(response) };
});

const INTEGER_DIRECTIVES = new Set(["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"]);
/** A Decimal, which is another type than Integer: once parsed, 60.0 can not be told from 60. */
const DECIMAL_DIRECTIVE = /^(?:max-age|s-maxage|stale-while-revalidate|stale-if-error)=-?[0-9]+\./;
const FIELD_LIST_DIRECTIVES = new Set(["no-cache", "private"]);
const FLAG_DIRECTIVES = new Set([
  "no-store",
  "no-transform",
  "public",
  "must-revalidate",
  "proxy-revalidate",
  "must-understand",
  "immutable",
]);

/**
 * RFC 9213 section 2.1: a Dictionary. Empty, unparsable, or a known directive of another type than it has: undefined,
 * as if the field were absent. Parameters are ignored.
 */
function parseTargeted(value: string): Directive[] | undefined {
  let dictionary: Dictionary;
  try {
    dictionary = parseDictionary(value);
  } catch {
    return undefined; // The parser's way to say that it is no structured field.
  }
  if (dictionary.size === 0 || listMembers(value).some((member) => DECIMAL_DIRECTIVE.test(member))) return undefined;
  const directives: Directive[] = [];
  for (const [name, member] of dictionary) {
    const bare = isInnerList(member) ? undefined : member[0];
    const argument = argumentOf(bare);
    if (!isTypedAs(name, bare)) return undefined;
    if (bare === false) continue; // `no-store=?0` is the one way to write that a directive is not there.
    directives.push({ name, argument, parameter: undefined, malformed: false });
  }
  return directives;
}

function isTypedAs(name: string, bare: unknown): boolean {
  if (INTEGER_DIRECTIVES.has(name)) return Number.isInteger(bare) && Number(bare) >= 0;
  if (FLAG_DIRECTIVES.has(name)) return typeof bare === "boolean";
  if (FIELD_LIST_DIRECTIVES.has(name)) {
    return typeof bare === "boolean" || typeof bare === "string" || bare instanceof Token;
  }
  return true;
}

function argumentOf(bare: unknown): string | undefined {
  return typeof bare === "string" || typeof bare === "number" || bare instanceof Token ? String(bare) : undefined;
}

/**
 * W3C Edge Architecture, section 2.2: directives in Cache-Control's syntax, each optionally `;target`ed at one surrogate.
 * Undefined when nothing in it is about caching by this one, so that the field decides nothing.
 */
function parseSurrogate(lines: readonly string[]): Directive[] | undefined {
  const directives: Directive[] = [];
  let decides = false;
  for (const directive of lines.flatMap(parseDirectives)) {
    const { name, parameter } = directive;
    if (parameter !== undefined && parameter !== SURROGATE_NAME) continue;
    if (name === "max-age" || name === "no-store") decides = true;
    directives.push({ ...directive, parameter: undefined });
    const extension = name === "max-age" ? STALE_EXTENSION.exec(directive.argument ?? "") : null;
    if (extension !== null && !directive.malformed) {
      const [, fresh = "", stale = ""] = extension;
      directives[directives.length - 1] = { ...directive, argument: fresh, parameter: undefined };
      directives.push({ name: "stale-while-revalidate", argument: stale, parameter: undefined, malformed: false });
    }
  }
  return decides ? directives : undefined;
}

/** `max-age=3600+600`: fresh for an hour, to be used stale for ten minutes more while it is being validated. */
const STALE_EXTENSION = /^([0-9]+)\+([0-9]+)$/;
