import { type Framing, renderRequestHead, requestFraming } from "@proj/protocol";
import type { OriginRequest } from "./exchange.ts";
import type { Member } from "./rotation.ts";

/** How the content of a request that has some ends. */
export type ContentFraming = Extract<Framing, { kind: "length" | "chunked" }>;

/** A request that was found fit to be sent, any number of times: it is checked once, and rendered once for each origin in turn. */
export class PreparedRequest {
  /** Not changed any more, by anybody. */
  readonly request: OriginRequest;
  /** Of what follows the head; undefined when nothing does. */
  readonly framing: ContentFraming | undefined;
  #member: Member | undefined;
  #text = "";
  #octets: Uint8Array | undefined;

  /** @throws {TypeError} See {@link OriginClient.send}. */
  constructor(request: OriginRequest) {
    this.request = request;
    this.framing = checkedFraming(request);
  }

  /** The head as it goes out to this origin: as text, latin1, and from the second time in a row on in octets, which nobody changes. */
  headFor(member: Member): string | Uint8Array {
    if (member !== this.#member) {
      const { method, target, fields } = this.request;
      // RFC 9110 section 7.2: Host first, so that the origin sees it first.
      this.#text = renderRequestHead(method, target, fields, fields.has("host") ? undefined : member.hostField);
      this.#member = member;
      this.#octets = undefined;
      return this.#text;
    }
    this.#octets ??= Buffer.from(this.#text, "latin1");
    return this.#octets;
  }
}

/** How the content of `request` goes out; `undefined` when it has none. */
function checkedFraming(request: OriginRequest): ContentFraming | undefined {
  const { method, target, fields, hasContent = false, offersUpgrade = false } = request;
  const problem = (text: string) => new TypeError(`Cannot send ${method} ${JSON.stringify(target)}: ${text}`);
  if (!target.startsWith("/") && !(method === "OPTIONS" && target === "*"))
    throw problem("the target is not in origin-form");
  if (method === "CONNECT") throw problem("CONNECT is not this client's");
  if (fields.has("upgrade") !== offersUpgrade)
    throw problem("its fields and `offersUpgrade` do not agree about Upgrade");
  if (offersUpgrade && hasContent) throw problem("an Upgrade is not offered with content");
  if (!hasContent && !fields.has("content-length") && !fields.has("transfer-encoding")) return undefined;
  const framing = requestFraming({ kind: "request", method, target, minorVersion: 1, fields, headBytes: 0 });
  if (framing.kind === "malformed") throw problem(`its framing is malformed (${framing.reason})`);
  const isFramed = framing.kind === "length" || framing.kind === "chunked";
  if (isFramed && !hasContent) throw problem("its fields announce content, and it has none");
  if (!isFramed && hasContent) throw problem("its fields do not say how its content ends");
  return isFramed ? framing : undefined;
}
