import type { OriginClient, OriginError, OriginExchange, OriginHandler } from "@proj/origin";
import {
  type CacheCounter,
  type Counters,
  conditionalFields,
  currentAgeMs,
  endToEndFields,
  type Fields,
  type Framing,
  type Freshness,
  fieldsToStore,
  freshnessOf,
  type LogRecord,
  matchesExactly,
  type OriginFailure,
  parseContentLength,
  type Refusal,
  type ResponseHead,
  reuseOnError,
  selectFreshened,
  storable,
  ttlMs,
  updateStored,
  type Variant,
  type Verdict,
  variantOf,
  withDate,
} from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import { GrowingBody } from "./growing-body.ts";
import { renderHeadBlock } from "./head-block.ts";
import { fillFields, passFields } from "./origin-request.ts";
import type { Available, Handling } from "./reply.ts";
import { requestControl } from "./selection.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import type { StoredResponse } from "./stored-response.ts";
import type { Source, Transfer } from "./transfer.ts";

/**
 * What a fill is for. `shared`: whoever asks for the key meanwhile waits for it too. `own`: for one client, since its credentials may matter;
 * the response may be stored all the same. `pass`: caching has no part in it, the client's conditions and ranges go to the origin.
 */
export type FillMode = "shared" | "own" | "pass";

/** What a fill needs of the shard it belongs to. */
export interface FillHost {
  readonly storage: TieredStorage;
  readonly origin: OriginClient;
  readonly counters: Counters<CacheCounter>;
  readonly log: (record: LogRecord) => void;
  /** Wall clock: it is compared with dates of the origin. */
  readonly nowMs: () => number;
  /** Gives `transfer` what is available, now that it is. */
  attach(
    transfer: Transfer,
    available: Available,
    handling: Handling,
    source: Source | undefined,
  ): "attached" | "length-wanted" | "gone";
  /** Decides anew what to do for a transfer that this fill can not serve. */
  decide(transfer: Transfer, without: Fill): void;
  serve(transfer: Transfer): void;
  refuse(transfer: Transfer, refusal: Refusal): void;
  /** The response of a shared fill may not be stored: for a while nobody need wait for another's. */
  rememberPass(key: string): void;
  ended(fill: Fill): void;
}

/** How far a body that is not kept may run ahead of the slowest reader. */
const WINDOW_BYTES = 1024 * 1024;
/** How much of one may be held back for a GETFILE client, which has to be told the length first. */
const HELD_BACK_BYTES_MAX = 16 * 1024 * 1024;

/** One request to the origin and what becomes of its response: it is stored while the transfers that wait for it are served. */
export class Fill implements Source, OriginHandler {
  readonly key: string;
  readonly mode: FillMode;
  readonly #host: FillHost;
  readonly #request: ClientRequest;
  readonly #reason: Verdict;
  readonly #validating: StoredResponse | undefined;
  /** Whose request this is; undefined for one in the background. */
  readonly #leader: Transfer | undefined;
  readonly #waiting = new Set<Transfer>();
  readonly #lengthWanted = new Set<Transfer>();
  readonly #readers = new Set<Transfer>();
  readonly #requestTimeMs: number;
  #exchange: OriginExchange | undefined;
  #response: (Available & { variant: Variant | undefined; freshness: Freshness; fields: Fields }) | undefined;
  #body: GrowingBody | undefined;
  #shared: Pick<Available, "fields" | "headBlock"> | undefined;
  #mayStore = false;
  #isOver = false;
  #failed = false;
  #serving = false;

  constructor(
    host: FillHost,
    leader: Transfer | undefined,
    request: ClientRequest,
    how: { mode: FillMode; reason: Verdict; validating?: StoredResponse | undefined },
  ) {
    this.#host = host;
    this.#leader = leader;
    this.#request = request;
    this.key = request.key;
    this.mode = how.mode;
    this.#reason = how.reason;
    this.#validating = how.validating;
    this.#requestTimeMs = host.nowMs();
    if (leader !== undefined) this.#waiting.add(leader);
  }

  get failed(): boolean {
    return this.#failed;
  }

  get replayable(): boolean {
    return this.#body?.tier !== undefined;
  }

  start(): void {
    const { method, target } = this.#request;
    const conditions = this.#validating === undefined ? [] : conditionalFields(this.#validating.fields);
    const fields = this.mode === "pass" ? passFields(this.#request) : fillFields(this.#request, conditions);
    this.#host.counters.add("originRequests");
    this.#exchange = this.#host.origin.send({ method, target, fields }, this);
  }

  /** Whether `request` may wait for this fill's response, or read it as it comes. */
  takes(request: ClientRequest): boolean {
    if (this.mode !== "shared" || this.#isOver || request.method !== "GET") return false;
    if (this.#response === undefined) return true;
    return this.#body?.tier !== undefined && this.#matches(request);
  }

  join(transfer: Transfer): void {
    this.#host.counters.add("collapsed");
    if (this.#response === undefined) this.#waiting.add(transfer);
    else this.#attach(transfer);
  }

  /** `transfer` is over, from whatever cause. */
  leave(transfer: Transfer): void {
    this.#waiting.delete(transfer);
    this.#lengthWanted.delete(transfer);
    this.#readers.delete(transfer);
    this.#endIfUnwanted();
  }

  progressed(): void {
    if (!this.#isOver) this.#control();
  }

  /** Nobody waits for it and it is not kept: the origin need not go on. */
  #endIfUnwanted(): void {
    if (this.#isOver) return;
    const wanted = this.#waiting.size + this.#lengthWanted.size + this.#readers.size > 0;
    const kept = this.#response === undefined ? this.mode === "shared" : this.#body?.tier !== undefined;
    if (wanted || kept) return this.#control();
    this.#exchange?.abort();
    this.#end();
    this.#body?.abandon();
  }

  onHead(head: ResponseHead, framing: Framing): void {
    if (this.#validating !== undefined) {
      if (head.status === 304) return this.#validated(this.#validating, head);
      if (this.#serveStale(this.#validating, { kind: "status", status: head.status })) {
        this.#exchange?.abort();
        return this.#end();
      }
    }
    this.#begin(head, framing);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    if (!this.#mayStore && this.mode === "shared") this.#host.rememberPass(this.key);
    for (const transfer of waiting) {
      if (transfer === this.#leader || (this.#mayStore && this.#matches(transfer.request))) this.#attach(transfer);
      else this.#host.decide(transfer, this);
    }
    this.#endIfUnwanted();
  }

  onContent(chunk: Uint8Array): void {
    this.#host.counters.add("originBytes", chunk.length);
    this.#body?.append(chunk);
    this.#control();
    this.#serveReadersSoon();
  }

  onEnd(): void {
    if (this.#isOver) return;
    this.#end();
    this.#keep();
    const response = this.#response!;
    const bodyBytes = this.#body!.bytes;
    this.#response = { ...response, bodyBytes };
    for (const transfer of this.#readers) transfer.lengthKnown(bodyBytes);
    for (const transfer of [...this.#lengthWanted]) {
      this.#lengthWanted.delete(transfer);
      this.#attach(transfer);
    }
    this.#serveReaders();
  }

  onError(error: OriginError): void {
    if (this.#isOver) return;
    const { counters, log } = this.#host;
    counters.add("originErrors");
    log({ level: "warn", message: error.message, code: error.code, target: this.#request.target });
    const refusal = refusalOf(error);
    if (this.#response === undefined) {
      const stale = this.#validating !== undefined && this.#serveStale(this.#validating, { kind: "unreachable" });
      this.#end();
      if (!stale) for (const transfer of [...this.#waiting]) this.#host.refuse(transfer, refusal);
      return;
    }
    this.#failed = true;
    this.#end();
    this.#body?.abandon();
    for (const transfer of [...this.#lengthWanted]) this.#host.refuse(transfer, refusal);
    this.#serveReaders();
  }

  /** Decides what the response is to us: kept or passing. */
  #begin(head: ResponseHead, framing: Framing): void {
    const { status } = head;
    const responseTimeMs = this.#host.nowMs();
    const endToEnd = withDate(endToEndFields(head.fields), responseTimeMs);
    const message = { status, fields: endToEnd };
    const variant = variantOf(this.#request.fields, endToEnd);
    const allowed = this.mode !== "pass" && variant !== undefined && storable(this.#request, message).storable;
    const bodyBytes = bodyBytesOf(this.#request.method, head, framing);
    this.#body = new GrowingBody(this.#host.storage, bodyBytes, allowed);
    this.#mayStore = this.#body.tier !== undefined;
    this.#response = {
      status,
      fields: endToEnd,
      variant,
      freshness: freshnessOf(message, this.#requestTimeMs, responseTimeMs),
      headBlock: renderHeadBlock(endToEnd, endToEnd.has("age") ? "ours" : "theirs"),
      body: this.#body,
      bodyBytes,
      responseTimeMs,
      reusable: this.mode !== "pass",
    };
  }

  #attach(transfer: Transfer): void {
    const response = this.#response!;
    const isOver = this.#isOver;
    const outcome = this.#host.attach(
      transfer,
      transfer === this.#leader ? response : this.#sharedResponse(response),
      this.#handling(transfer, response.status),
      isOver ? undefined : this,
    );
    if (outcome === "length-wanted") this.#lengthWanted.add(transfer);
    else if (outcome === "attached" && isOver) this.#host.serve(transfer);
    else if (outcome === "attached") {
      this.#readers.add(transfer);
      this.#serveReadersSoon();
    }
  }

  /** What others than the one who asked may see: RFC 9111 section 5.2.2.7, fields that are private to that one. */
  #sharedResponse(response: Available): Available {
    this.#shared ??= (() => {
      const fields = fieldsToStore(response.fields);
      return { fields, headBlock: renderHeadBlock(fields, fields.has("age") ? "ours" : "theirs") };
    })();
    return { ...response, ...this.#shared };
  }

  #handling(transfer: Transfer, forwardStatus: number): Handling {
    const { freshness, fields } = this.#response!;
    return {
      verdict: this.#reason,
      ageSeconds: fields.has("age") ? Math.floor(currentAgeMs(freshness, this.#host.nowMs()) / 1000) : undefined,
      ttlSeconds: undefined,
      forwardStatus,
      stored: this.#mayStore,
      collapsed: transfer !== this.#leader,
      hotVersion: undefined,
    };
  }

  /** RFC 9111 section 4.3.4: the stored response is good again. */
  #validated(stored: StoredResponse, head: ResponseHead): void {
    const responseTimeMs = this.#host.nowMs();
    const newer = endToEndFields(head.fields);
    this.#end();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    if (selectFreshened([stored.fields], newer).length === 0) {
      // It speaks of something else: what is stored is no answer, and is not asked about again.
      this.#host.storage.invalidate(stored.key, stored);
      for (const transfer of waiting) this.#host.decide(transfer, this);
      return;
    }
    this.#host.counters.add("revalidations");
    this.#host.storage.renewed(stored);
    stored.fields = fieldsToStore(updateStored(stored.fields, withDate(newer, responseTimeMs)));
    stored.freshness = freshnessOf(stored, this.#requestTimeMs, responseTimeMs);
    stored.headBlock = renderHeadBlock(stored.fields, "ours");
    stored.variant = variantOf(this.#request.fields, stored.fields) ?? stored.variant;
    for (const transfer of waiting) {
      if (matchesExactly(stored.variant, transfer.request.fields)) this.#attachStored(transfer, stored, 304);
      else this.#host.decide(transfer, this);
    }
  }

  /** RFC 5861 section 4, RFC 9111 section 4.2.4: what is stale may be better than nothing. */
  #serveStale(stored: StoredResponse, failure: OriginFailure): boolean {
    const nowMs = this.#host.nowMs();
    if (reuseOnError(stored.freshness, requestControl(this.#request), failure, nowMs).use !== "stale") return false;
    const forwardStatus = failure.kind === "status" ? failure.status : undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const transfer of waiting) this.#attachStored(transfer, stored, forwardStatus);
    return true;
  }

  #attachStored(transfer: Transfer, stored: StoredResponse, forwardStatus: number | undefined): void {
    const nowMs = this.#host.nowMs();
    const handling: Handling = {
      verdict: this.#reason,
      ageSeconds: Math.floor(currentAgeMs(stored.freshness, nowMs) / 1000),
      ttlSeconds: Math.floor(ttlMs(stored.freshness, nowMs) / 1000),
      forwardStatus,
      stored: false,
      collapsed: transfer !== this.#leader,
      hotVersion: undefined,
    };
    this.#host.attach(transfer, availableFrom(stored), handling, undefined);
    this.#host.serve(transfer);
  }

  /** The body is whole: it goes into the store, if it may and has found room. */
  #keep(): void {
    const { key } = this;
    const body = this.#body!;
    const { status, variant, freshness } = this.#response!;
    if (body.tier === undefined || variant === undefined) {
      body.abandon();
      return;
    }
    const fields = fieldsToStore(this.#response!.fields);
    const headBlock = renderHeadBlock(fields, "ours");
    const { stripe } = this.#request;
    const stored = {
      key,
      stripe,
      variant,
      status,
      fields,
      headBlock,
      freshness,
      body: body.store,
      bodyBytes: body.bytes,
    };
    this.#host.storage.store(body.tier, stored);
    body.settle();
  }

  #matches(request: ClientRequest): boolean {
    const variant = this.#response?.variant;
    return variant !== undefined && matchesExactly(variant, request.fields);
  }

  /** Back-pressure for a body that is not kept: it runs so far ahead of its slowest reader and no farther. */
  #control(): void {
    const body = this.#body;
    if (body === undefined || body.tier !== undefined) return;
    let slowest = this.#lengthWanted.size > 0 ? 0 : body.bytes;
    for (const transfer of this.#readers) slowest = Math.min(slowest, transfer.bodyPosition);
    body.dropBefore(slowest);
    const aheadBytes = body.bytes - slowest;
    if (this.#lengthWanted.size > 0) {
      if (aheadBytes > HELD_BACK_BYTES_MAX)
        for (const transfer of [...this.#lengthWanted]) this.#host.refuse(transfer, "length-unknown");
    } else if (aheadBytes > WINDOW_BYTES) this.#exchange?.pause();
    else if (aheadBytes < WINDOW_BYTES / 2) this.#exchange?.resume();
  }

  /** Once all that one read of the origin's socket brought is in: head and body then leave in one portion. */
  #serveReadersSoon(): void {
    if (this.#serving) return;
    this.#serving = true;
    queueMicrotask(() => {
      this.#serving = false;
      this.#serveReaders();
    });
  }

  #serveReaders(): void {
    for (const transfer of [...this.#readers]) this.#host.serve(transfer);
  }

  #end(): void {
    this.#isOver = true;
    this.#host.ended(this);
  }
}

/** A stored response as one that can be sent. */
export function availableFrom(stored: StoredResponse): Available {
  const { status, fields, headBlock, body, bodyBytes, freshness } = stored;
  const { responseTimeMs } = freshness;
  return { status, fields, headBlock, body, bodyBytes, loan: body.loan, responseTimeMs, reusable: true };
}

function bodyBytesOf(method: string, head: ResponseHead, framing: Framing): number | undefined {
  if (framing.kind === "length") return framing.bytes;
  if (framing.kind !== "none") return undefined;
  if (method !== "HEAD") return 0;
  const length = head.fields.get("content-length");
  return length === undefined ? undefined : parseContentLength(length);
}

function refusalOf(error: OriginError): Refusal {
  if (error.code === "ERR_ORIGIN_TIMEOUT") return "origin-timeout";
  return error.code === "ERR_ORIGIN_POOL_FULL" ? "overloaded" : "origin-error";
}
