import { PreparedRequest } from "@proj/origin";
import type { Invalidation, RequestHead, ResponseHead } from "@proj/protocol";
import { invalidationOf } from "./invalidation.ts";
import type { ProxySite } from "./proxy-site.ts";
import { type Peer, passFields } from "./request-fields.ts";
import type { PassRoute } from "./route.ts";

/** A request that passes, and what has been made of it: it is used again when the same octets come again, so nothing here may depend on anything else. */
export class PassRequest {
  readonly head: RequestHead;
  readonly route: PassRoute & { readonly site: ProxySite };
  #prepared: { readonly peer: Peer; readonly request: PreparedRequest } | undefined;
  #invalidation: { readonly response: ResponseHead; readonly what: Invalidation | undefined } | undefined;

  constructor(head: RequestHead, route: PassRoute & { readonly site: ProxySite }) {
    this.head = head;
    this.route = route;
  }

  /** What the origin is asked when this client asks for it. */
  preparedFor(peer: Peer): PreparedRequest {
    const known = this.#prepared;
    if (known !== undefined && isSamePeer(known.peer, peer)) return known.request;
    const { method } = this.head;
    const { target, framing, upgrade } = this.route;
    const fields = passFields(this.head, this.route, peer);
    const hasContent = framing !== undefined;
    const request = new PreparedRequest({ method, target, fields, hasContent, offersUpgrade: upgrade !== undefined });
    this.#prepared = { peer, request };
    return request;
  }

  /** What this response says is no longer good. */
  invalidationBy(response: ResponseHead): Invalidation | undefined {
    if (this.#invalidation?.response === response) return this.#invalidation.what;
    const what = invalidationOf(this.head, this.route.target, response, this.route.site);
    this.#invalidation = { response, what };
    return what;
  }
}

/** Whether the origin is told the same of both. */
function isSamePeer(one: Peer, other: Peer): boolean {
  if (one === other) return true;
  return one.address === other.address && one.isTrusted === other.isTrusted && one.scheme === other.scheme;
}
