import type { PoolMember } from "@proj/ipc";
import {
  isSameUri,
  type PassedResponse,
  passedResponseBlockBytes,
  type ResponseHead,
  receivedFields,
  SEGMENT_BODY_OFFSET,
  type Site,
  storable,
  targetHash,
  withDate,
} from "@proj/protocol";
import { type Ask, type AskOwner, type CacheClient, mayBeWrittenTo, type Outcome } from "./cache-client.ts";
import type { PassRequest } from "./pass-request.ts";
import type { Keeper, PassSent } from "./pass-through.ts";
import { isToldAsGet } from "./told-as-get.ts";

/** Where what passes is offered, and how the origin is named. */
export interface PostKeeperContext {
  readonly cache: CacheClient;
  readonly pool: PoolMember;
  /** Length of a segment: what does not fit into one is not offered. */
  readonly segmentBytes: number;
  readonly site: Site;
  readonly nowMs: () => number;
}

const EMPTY = new Uint8Array(0);

/**
 * Offers the cache the response to a POST that a later GET may be answered with (RFC 9110 section 9.3.3): a 200 with explicit freshness whose
 * Content-Location is the target itself, where the origin was told nothing that such a GET would not tell it. It is only an offer: without a free segment, or beyond one segment, nothing is lost but a hit.
 */
export class PostKeeper implements Keeper, AskOwner {
  readonly canDoWithout = true;
  readonly #context: PostKeeperContext;
  readonly #head: Omit<PassedResponse, "content">;
  readonly #chunks: Uint8Array[] = [];
  #bytesLeft: number;

  private constructor(context: PostKeeperContext, head: Omit<PassedResponse, "content">) {
    this.#context = context;
    this.#head = head;
    this.#bytesLeft =
      context.segmentBytes - SEGMENT_BODY_OFFSET - passedResponseBlockBytes({ ...head, content: EMPTY });
  }

  /** Undefined when this response answers nobody else. */
  static of(
    context: PostKeeperContext,
    request: PassRequest,
    sent: PassSent,
    response: ResponseHead,
    requestTimeMs: number,
  ): PostKeeper | undefined {
    const { method, fields } = request.head;
    const { target } = request.route;
    if (method !== "POST" || response.status !== 200 || !response.fields.has("content-location")) return undefined;
    const responseTimeMs = context.nowMs();
    const endToEnd = withDate(receivedFields(response), responseTimeMs);
    const location = endToEnd.get("content-location");
    // With the target, the URI that Content-Location has to name.
    const uris = context.site.settings.origins.map((url) => new URL(url).origin + target);
    const publicUri = `http://${fields.get("host") ?? ""}${target}`;
    const named = [...uris, publicUri].find((one) => location !== undefined && isSameUri(location, one));
    const message = { status: response.status, fields: endToEnd };
    if (named === undefined || !storable({ method, fields, uri: named }, message).storable) return undefined;
    if (!isToldAsGet(request, sent, context.site)) return undefined;
    return new PostKeeper(context, {
      requestTimeMs,
      responseTimeMs,
      status: response.status,
      site: context.site.id,
      target,
      requestFieldSection: sent.fields.render(),
      fieldSection: endToEnd.render(),
    });
  }

  content(chunk: Uint8Array): void {
    this.#bytesLeft -= chunk.length;
    if (this.#bytesLeft >= 0) this.#chunks.push(new Uint8Array(chunk));
    else this.#chunks.length = 0;
  }

  end(): void {
    const { pool, cache } = this.#context;
    const segment = this.#bytesLeft < 0 ? undefined : pool.tryTake();
    if (segment === undefined) return;
    const passed = { ...this.#head, content: Buffer.concat(this.#chunks) };
    const keyTarget = this.#context.site.rulingOn(passed.target).rule?.keyTarget(passed.target) ?? passed.target;
    if (cache.keep(segment, passed, targetHash(keyTarget), this) === undefined) pool.giveBack(segment);
  }

  answered(ask: Ask, outcome: Outcome): void {
    const { pool } = this.#context;
    if (mayBeWrittenTo(outcome)) pool.replace(ask.segment);
    else pool.giveBack(ask.segment);
  }

  noticed(): void {}
  lost(): void {}
}
