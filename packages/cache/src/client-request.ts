import {
  Fields,
  type RuleSettings,
  type Ruling,
  stripeOf,
  targetHash,
  trimOws,
  varyKey,
  type WantedResponse,
} from "@proj/protocol";
import type { CacheSite } from "./cache-site.ts";
import { saidInAnySpelling } from "./field-spellings.ts";
import { WHOLE_REQUEST, wholeRequest } from "./whole-request.ts";

/** Fields that can change which stored response is used, or how: without them, and without Vary, nobody has to parse the section. */
const DECIDING_FIELD = /(?:^|\n)(?:cache-control|pragma|if-[a-z-]+|range|authorization):/i;
const TAKES_TRAILERS = /(?:^|\n)te: trailers\r/i;
/** GETFILE has no codings: what is stored for it, or sent to it, is the file itself. */
const GETFILE_FIELDS = Fields.from([["Accept-Encoding", "identity"]]);

/** What a client wants, as the cache sees it: the proxy's request block with its fields parsed when somebody has to look. */
export class ClientRequest {
  readonly wire: WantedResponse["wire"];
  readonly method: WantedResponse["method"];
  readonly target: string;
  readonly acceptsLoan: boolean;
  readonly site: CacheSite;
  /** What the operator has decided about its path. */
  readonly ruling: Ruling;
  /** Of the site's key prefix and the target, without what a rule does not count. */
  readonly key: string;
  /** Of what of the target is in the key: it chooses the shard. */
  readonly hash: number;
  /** The stripe of keys whose version says whether what proxies keep of this key is good. */
  readonly stripe: number;
  readonly #wanted: WantedResponse;
  #fields: Fields | undefined;
  #forwarding: Fields | undefined;
  #variesBy: { readonly names: readonly string[]; readonly key: string } | undefined;

  constructor(wanted: WantedResponse, site: CacheSite) {
    this.wire = wanted.wire;
    this.method = wanted.method;
    this.target = wanted.target;
    this.acceptsLoan = wanted.acceptsLoan;
    this.site = site;
    this.ruling = site.rulingOn(wanted.target);
    const keyTarget = this.ruling.rule?.keyTarget(wanted.target) ?? wanted.target;
    this.key = site.keyPrefix + keyTarget;
    this.hash = targetHash(keyTarget);
    this.stripe = stripeOf(this.hash);
    this.#wanted = wanted;
  }

  /** The operator's rule that applies to it. */
  get rule(): RuleSettings | undefined {
    return this.ruling.rule?.settings;
  }

  /** A GET for the same, where this is a HEAD: what is stored comes from GET. */
  asGet(): ClientRequest {
    return this.method === "GET" ? this : new ClientRequest({ ...this.#wanted, method: "GET" }, this.site);
  }

  /** Whether its fields say more than which resource is wanted. */
  get hasDecidingFields(): boolean {
    const { fieldSection } = this.#wanted;
    return fieldSection !== "" && DECIDING_FIELD.test(fieldSection);
  }

  /** The value of its Range field, where that counts: GET over HTTP. */
  get range(): string | undefined {
    if (this.method !== "GET" || !this.hasDecidingFields) return undefined;
    return this.fields.get("range");
  }

  /** It asks to be told the cache key (in Cache-Status), as CDNs have it: `Pragma: x-get-cache-key`. */
  get wantsKey(): boolean {
    return this.hasDecidingFields && /(?:^|[ ,])x-get-cache-key(?:$|[ ,])/i.test(this.fields.get("pragma") ?? "");
  }

  /** Its client takes trailers (RFC 9110 section 10.1.4), as the proxy says. */
  get takesTrailers(): boolean {
    return TAKES_TRAILERS.test(this.#wanted.fieldSection);
  }

  /** The end-to-end request fields, in their order and case. Nobody may change them: requests that say the same share them. */
  get fields(): Fields {
    this.#fields ??= this.wire === "getfile" ? GETFILE_FIELDS : sectionOf(this.#wanted.fieldSection);
    return this.#fields;
  }

  /** What the origin is told of whom it is asked for. Nobody may change it. */
  get forwarding(): Fields {
    this.#forwarding ??= parseSection(this.#wanted.forwardingSection);
    return this.#forwarding;
  }

  /** What a response may vary on (RFC 9111 section 4.1): a field as the origin gets it, the client's or this hop's about the client. */
  get(lowerName: string): string | undefined {
    if (lowerName === WHOLE_REQUEST) return wholeRequest(this.fields);
    return isForwarding(lowerName) ? this.forwarding.get(lowerName) : saidInAnySpelling(this.fields, lowerName);
  }

  /** What it says in these fields: see `varyKey`. Asked again for the same names it is not computed anew, as a fill that waits is by every request for its key. */
  varyKey(names: readonly string[]): string {
    if (this.#variesBy?.names !== names) this.#variesBy = { names, key: varyKey(names, this) };
    return this.#variesBy.key;
  }
}

/** Whether it is about the client and not the client's to say. */
export function isForwarding(lowerName: string): boolean {
  return lowerName === "forwarded" || lowerName.startsWith("x-forwarded-");
}

/** Of the section that came last: the same kind of client says the same again and again. */
let last: { readonly text: string; readonly fields: Fields } = { text: "", fields: new Fields() };

function sectionOf(text: string): Fields {
  if (text !== last.text) last = { text, fields: parseSection(text) };
  return last.fields;
}

/** Field lines that the proxy has parsed already; a peer gone mad gets the lines up to the first that is none. */
export function parseSection(section: string): Fields {
  const fields = new Fields();
  for (const line of section.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) break;
    try {
      fields.add(line.slice(0, colon), trimOws(line.slice(colon + 1)));
    } catch {
      break;
    }
  }
  return fields;
}
