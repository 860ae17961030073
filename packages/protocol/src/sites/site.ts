import { decodeUnreserved, plainPath } from "./plain-path.ts";
import { Rule } from "./rule.ts";
import type { SiteSettings } from "./site-settings.ts";

/**
 * A dot segment, plain or percent-encoded: under a prefix it could lead out of it. Tomcat, Jetty and their kin cut path parameters off a segment before they
 * look whether it is one; for others a segment ends at what would begin a query or a fragment once it is decoded, or at a NUL.
 */
const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\?;]|%2f|%5c|%3b|%3f|%23|%00|$)/i;

/** What a rule says about a target. */
export interface Ruling {
  /** The rule that applies: the first whose pattern matches. */
  readonly rule: Rule | undefined;
  /** Caching has no part in it, by the rule, or since the site has rules and its path could be read as one that another rule is about. */
  readonly bypass: boolean;
}

const NO_RULING: Ruling = { rule: undefined, bypass: false };
const AMBIGUOUS_PATH: Ruling = { rule: undefined, bypass: true };

/**
 * What a site makes of targets: where they go, what they are stored under, what has been decided about them. Proxy and cache make the same of the same
 * bytes, each for itself.
 */
export class Site {
  readonly settings: SiteSettings;
  readonly id: number;
  /** What stands before the target in a key: the site's name where it has one, and scheme, host and port of the (first) origin. */
  readonly keyPrefix: string;
  /** False: no ruling is ever anything but none. */
  readonly hasRules: boolean;
  /** Path of the origin's URL, without a closing slash: what clients ask for is joined to it. */
  readonly originPrefix: string;
  readonly #rules: readonly Rule[];

  constructor(settings: SiteSettings) {
    this.settings = settings;
    this.id = settings.id;
    const origin = new URL(settings.origins[0]!);
    this.originPrefix = origin.pathname.replace(/\/$/, "");
    // A name holds no "|": sites that share an origin share nothing that is stored, since their rules may differ.
    this.keyPrefix = settings.name === "" ? origin.origin : `${settings.name}|${origin.origin}`;
    this.hasRules = settings.rules.length > 0;
    this.#rules = settings.rules.map((rule) => new Rule(rule));
  }

  /** Whether `path`, which a client asks for, could leave what the site is: it is joined to a prefix, and holds a dot segment. */
  mayBeLeftBy(path: string): boolean {
    return (this.originPrefix !== "" || this.settings.path !== "") && DOT_SEGMENT.test(path);
  }

  /** The target that `path` is joined to for the origin, before any rule: origin-form, with its query. */
  join(path: string): string {
    const { stripPath, path: prefix } = this.settings;
    if (!stripPath || prefix === "") return this.originPrefix + path;
    const rest = path.slice(rawLength(path, prefix));
    return `${this.originPrefix}${rest.startsWith("/") ? rest : `/${rest}`}`;
  }

  /** What has been decided about a joined target. */
  rulingOn(target: string): Ruling {
    if (!this.hasRules) return NO_RULING;
    const path = plainPath(this.#publicPath(target));
    if (path === undefined) return AMBIGUOUS_PATH;
    const rule = this.#rules.find((one) => one.appliesTo(path));
    return rule === undefined ? NO_RULING : { rule, bypass: rule.settings.bypass === true };
  }

  /** What goes to the origin for a joined target: itself, or without what a rule does not forward. Only this is ever told to the cache. */
  forwarded(target: string, { rule }: Ruling): string {
    return rule?.settings.query?.forward === "counted" ? rule.keyTarget(target) : target;
  }

  /** The path that a client asked for, as rules are written; of a joined target. */
  #publicPath(target: string): string {
    const { stripPath, path } = this.settings;
    const own = target.startsWith(this.originPrefix) ? target.slice(this.originPrefix.length) : target;
    return stripPath ? path + own : own;
  }
}

/** Whether a path, of which unreserved characters may be percent-encoded, is `prefix` or below it. */
export function isBelow(path: string, prefix: string): boolean {
  if (prefix === "") return true;
  const plain = decodeUnreserved(path);
  if (!plain.startsWith(prefix)) return false;
  const next = plain[prefix.length];
  return next === undefined || next === "/" || next === "?";
}

/** How many characters of `path` stand for `prefix`, with which it begins once it is decoded. */
function rawLength(path: string, prefix: string): number {
  let at = 0;
  for (let length = 0; length < prefix.length; length++) {
    // "%" stands for itself in a prefix that holds one.
    at += path[at] === "%" && prefix[length] !== "%" ? 3 : 1;
  }
  return at;
}
