import { type CacheControl, currentAgeMs, type Fields, fieldsToStore, reuse, type Verdict } from "@proj/protocol";
import { type Arriving, isFor } from "./arriving.ts";
import { type BodyOrigin, BodyReaders } from "./body-readers.ts";
import type { ClientRequest } from "./client-request.ts";
import type { FillHost } from "./fill-host.ts";
import type { GrowingBody } from "./growing-body.ts";
import { renderHeadBlock } from "./head-block.ts";
import type { Available, Handling } from "./reply.ts";
import type { SharedSource } from "./shared/shared-source.ts";
import type { Source, Transfer } from "./transfer.ts";

/** How a response was come by: its fill says so as it begins. */
export interface Provenance {
  /** Why the origin was asked. */
  readonly reason: Verdict;
  /** Whose request it was asked with; undefined for one in the background. */
  readonly leader: Transfer | undefined;
  /** From asking the origin to the head of its answer; undefined: it was not asked. */
  readonly originMs: number | undefined;
  /** What was asked before the origin was. */
  readonly sharedSource: SharedSource | undefined;
}

/** A response on its way in, as each of those gets it who read it meanwhile. */
export class Arrival {
  readonly readers: BodyReaders;
  readonly body: GrowingBody;
  /** Where {@link body} begins in the body that readers see. */
  readonly bodyStart: number;
  /** As it began it was to go into the store. */
  readonly mayStore: boolean;
  readonly #host: FillHost;
  readonly #source: Source & BodyOrigin;
  readonly #provenance: Provenance;
  #response: Arriving;
  #shared: Pick<Available, "fields" | "headBlock"> | undefined;
  #isOver = false;

  /** @param source The fill that it belongs to. @param bodyStart Above 0: what comes before is stored. */
  constructor(
    host: FillHost,
    source: Source & BodyOrigin,
    provenance: Provenance,
    response: Arriving,
    body: GrowingBody,
    bodyStart: number,
  ) {
    this.#host = host;
    this.#source = source;
    this.#provenance = provenance;
    this.#response = response;
    this.body = body;
    this.bodyStart = bodyStart;
    this.mayStore = body.tier !== undefined;
    this.readers = new BodyReaders(host, source, body, bodyStart);
  }

  get response(): Arriving {
    return this.#response;
  }

  /**
   * Whether others than who asked may have the response: only if they might, were it stored already (RFC 9111 section 4, on collapsing requests).
   * What is stale as it comes, or `no-cache`, is validated for them.
   */
  isFor(request: ClientRequest, control: CacheControl): boolean {
    const { variant, fields, freshness } = this.#response;
    if (variant === undefined || !isFor(request, variant, fields)) return false;
    const { use } = reuse(freshness, control, this.#host.nowMs());
    return use === "fresh" || use === "stale";
  }

  /** Gives the response to `transfer`, which reads it from now on. */
  attach(transfer: Transfer): void {
    const response = this.#response;
    const isOver = this.#isOver;
    const outcome = this.#host.attach(
      transfer,
      transfer === this.#provenance.leader ? response : this.#sharedResponse(response),
      this.#handling(transfer, response),
      isOver ? undefined : this.#source,
    );
    if (outcome === "length-wanted") this.readers.addForLength(transfer);
    else if (outcome === "attached" && isOver) this.#host.serve(transfer);
    else if (outcome === "attached") this.readers.add(transfer);
  }

  /** All of the body is there: its length is known now. */
  whole(trailers: Fields | undefined): void {
    const bodyBytes = this.bodyStart + this.body.bytes;
    if (this.#response.bodyBytes !== bodyBytes) this.#response = { ...this.#response, bodyBytes };
    // RFC 9111 section 3.1: apart from the head, or not at all. What is stored has none.
    const section = trailers === undefined ? undefined : new Uint8Array(Buffer.from(trailers.render(), "latin1"));
    for (const transfer of this.readers.lengthKnown(bodyBytes, section)) this.attach(transfer);
  }

  /** Nothing more comes: who is given the response from now on gets what is there. */
  end(): void {
    this.#isOver = true;
    this.readers.stop();
  }

  /** What others than the one who asked may see: RFC 9111 section 5.2.2.7, fields that are private to that one. */
  #sharedResponse(response: Available): Available {
    this.#shared ??= (() => {
      const fields = fieldsToStore(response.fields);
      return { fields, headBlock: renderHeadBlock(fields, "ours") };
    })();
    return { ...response, ...this.#shared };
  }

  #handling(transfer: Transfer, { status, freshness }: Arriving): Handling {
    const { reason, leader, originMs, sharedSource } = this.#provenance;
    if (sharedSource?.found !== undefined) return sharedSource.handling(freshness);
    // Whoever asked gets the origin's Age as it came; who joined, or gets stored bytes too, gets it as it is now.
    const passes = transfer === leader && this.bodyStart === 0;
    return {
      verdict: reason,
      ageSeconds: passes ? undefined : Math.floor(currentAgeMs(freshness, this.#host.nowMs()) / 1000),
      ttlSeconds: undefined,
      forwardStatus: this.bodyStart > 0 ? 206 : status,
      stored: this.mayStore,
      collapsed: transfer !== leader,
      hotVersion: undefined,
      hasCacheStatus: false,
      originMs,
    };
  }
}
