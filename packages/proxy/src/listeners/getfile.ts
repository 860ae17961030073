import {
  formatResponseHead,
  GETFILE_HEADER_TIMEOUT_MS,
  type GetfileOutcome,
  GetfileRequestParser,
  type GetfileWire,
  getfileTarget,
  type PortionAnswer,
  type ResponseAnswer,
  type WantedResponse,
} from "@proj/protocol";
import { Delivery, type DeliveryContext } from "../delivery.ts";
import { GetfilePass, type GetfilePassClient } from "../getfile-pass.ts";
import type { HeldBack } from "../held-back.ts";
import { type HotResponse, hotName, readyWith } from "../hot-tier.ts";
import { LINGER_TIMEOUT_S, SEND_TIMEOUT_S } from "../limits.ts";
import type { Loan } from "../loan-table.ts";
import { Outgoing } from "../outgoing.ts";
import type { ProxySite } from "../proxy-site.ts";
import type { ProxySites } from "../proxy-sites.ts";
import { ReadyResponse } from "../ready-response.ts";
import { getfileForwarding } from "../request-fields.ts";
import { headName } from "../request-memo.ts";
import { ASKED_WITHOUT_CACHE, type RefusalReason, type ResponseSink } from "../response-sink.ts";
import type { ClientSocket, Connection } from "./connection.ts";
import { GetfileRecord } from "./getfile-record.ts";
import { ReadySender, type ReadySenderOwner } from "./ready-sender.ts";

/** What all GETFILE connections of one thread share. */
export interface GetfileSettings {
  readonly wire: GetfileWire;
  readonly sites: ProxySites;
  /** Room for bodies that the origin sends without their length. */
  readonly heldBack: HeldBack;
}

/** One GETFILE connection: a request, a response, and the client closes. */
export class GetfileConnection implements Connection, ResponseSink, GetfilePassClient, ReadySenderOwner {
  readonly framesBody = false;
  readonly endsAfterResponse = true;
  readonly #socket: ClientSocket;
  readonly #context: DeliveryContext;
  readonly #settings: GetfileSettings;
  /** Made for a header that was not recognised. */
  #parser: GetfileRequestParser | undefined;
  readonly #openedMs: number;
  #state: "reading" | "answering" | "lingering" | "closed" = "reading";
  /** What is asked of the origin when the cache can not be asked. */
  #asked: { site: ProxySite; target: string } | undefined;
  #delivery: Delivery | undefined;
  #pass: GetfilePass | undefined;
  #out: Outgoing | undefined;
  /** Rendered, not yet framed: it leaves with the first portion. */
  #head = "";
  readonly #sender: ReadySender;
  readonly #record: GetfileRecord;

  constructor(socket: ClientSocket, context: DeliveryContext, settings: GetfileSettings) {
    this.#socket = socket;
    this.#context = context;
    this.#settings = settings;
    this.#openedMs = context.now();
    this.#sender = new ReadySender(socket, context.turns, this);
    this.#record = new GetfileRecord(socket, context);
    socket.timeout(GETFILE_HEADER_TIMEOUT_MS / 1000);
  }

  received(chunk: Uint8Array): void {
    if (this.#state !== "reading") return; // bytes after the header are ignored
    if (this.#parser === undefined && this.#answerKnown(chunk)) return;
    const isWhole = this.#parser === undefined;
    this.#parser ??= new GetfileRequestParser();
    const request = this.#parser.push(chunk);
    if (request.kind === "incomplete") {
      // A byte now and then does not buy more time.
      if (this.#context.now() - this.#openedMs > GETFILE_HEADER_TIMEOUT_MS)
        this.#answerWithoutBody({ status: "INVALID" });
      return;
    }
    if (request.kind === "malformed") {
      this.#context.counters.add("malformedRequests");
      this.#record.refused("malformed", STATUS_OF.INVALID);
      return this.#answerWithoutBody({ status: "INVALID" });
    }
    this.#request(request.path, isWhole && endsAtHeader(chunk) ? chunk : undefined);
  }

  drained(): void {
    if (this.#sender.isWaiting) return this.#sender.drained();
    if (this.#state !== "answering") return;
    this.#socket.timeout(SEND_TIMEOUT_S);
    this.#out?.drained();
    if (this.#out?.isHeldBack) return;
    if (this.#pass !== undefined) this.#pass.drained();
    else this.#delivery?.drained();
  }

  halfClosed(): void {
    // Half a header will never be whole; who sent nothing expects nothing.
    if (this.#state !== "reading") return;
    if (this.#parser !== undefined) this.#answerWithoutBody({ status: "INVALID" });
    else this.#socket.end();
  }

  closed(): void {
    this.#state = "closed";
    this.#record.ended(true);
    this.#sender.drop();
    this.#delivery?.clientLeft();
    this.#pass?.clientLeft();
  }

  timedOut(): void {
    if (this.#state === "reading") this.#answerWithoutBody({ status: "INVALID" });
    // Only a client that takes nothing is timed out; one that waits for the origin is not.
    else if (this.#sender.isWaiting || this.#out?.isHeldBack || this.#delivery?.stalled) this.#socket.terminate();
  }

  stopping(): void {
    if (this.#state === "reading" || this.#state === "lingering") this.#socket.end();
  }

  begin(response: ResponseAnswer, portion: PortionAnswer): boolean {
    // The cache answers a GETFILE request with a 200 of known length or with a refusal: anything else is its fault.
    if (response.status !== 200 || portion.bodyBytes === undefined || response.headBytes !== 0) return false;
    this.#record.answered(response);
    this.#head = formatResponseHead(this.#settings.wire, { status: "OK", length: portion.bodyBytes });
    this.#sender.expectBody(portion.bodyBytes, portion.loan !== undefined);
    return true;
  }

  /** The cache has none for this wire. */
  interim(): void {}

  frame(segment: Uint8Array, portion: PortionAnswer): { start: number; end: number } {
    const { payloadOffset, bytes } = portion;
    const start = payloadOffset - this.#head.length;
    if (this.#head !== "") Buffer.from(segment.buffer, segment.byteOffset).write(this.#head, start, "latin1");
    this.#head = "";
    return { start, end: payloadOffset + bytes };
  }

  write(bytes: Uint8Array, isMore: boolean): number {
    return this.#took(this.#socket.write(bytes, isMore), bytes.length);
  }

  writeLoan(loan: Loan, start: number): number {
    return this.#took(this.#sender.writeLoan(loan, start), loan.bytes.length - start);
  }

  #took(taken: number, length: number): number {
    if (taken < length) this.#socket.timeout(SEND_TIMEOUT_S);
    if (taken > 0) this.#record.sentPortion(taken);
    return taken;
  }

  refuse(reason: RefusalReason): void {
    if (ASKED_WITHOUT_CACHE.has(reason)) return this.#passOn();
    this.#answerWithoutBody({ status: reason === "not-found" ? "FILE_NOT_FOUND" : "ERROR" });
  }

  finish(): void {
    this.#context.counters.add("getfileRequests");
    this.#record.ended(false);
    this.#linger();
  }

  abort(): void {
    this.#context.counters.add("getfileRequests");
    this.#record.ended(true);
    this.#socket.terminate();
  }

  sent(bytes: number): void {
    this.#record.sent(bytes);
  }

  // ---- GetfilePassClient: a response of the origin's

  get out(): Outgoing {
    this.#out ??= new Outgoing(this.#socket, {
      onHeldBack: () => {
        this.#socket.timeout(SEND_TIMEOUT_S);
        this.#pass?.heldBack();
      },
      onSent: (bytes) => this.sent(bytes),
    });
    return this.#out;
  }

  get address(): string {
    return this.#record.address;
  }

  passBegun(bodyBytes: number): void {
    this.#record.passed(200);
    this.out.text(formatResponseHead(this.#settings.wire, { status: "OK", length: bodyBytes }));
  }

  passRefused(status: "FILE_NOT_FOUND" | "ERROR"): void {
    this.#pass = undefined;
    this.#context.counters.add("responsesRefused");
    this.#answerWithoutBody({ status });
  }

  passSent(): void {
    this.#pass = undefined;
    this.#context.counters.add("responsesSent");
    this.finish();
  }

  passAborted(): void {
    this.#pass = undefined;
    this.#context.counters.add("responsesAborted");
    this.abort();
  }

  // ----

  #passOn(): void {
    this.#context.counters.add("passes");
    this.#delivery = undefined;
    const { site, target } = this.#asked!;
    const { origin, onOriginError } = site.pass;
    this.#pass = new GetfilePass({ origin, onOriginError, heldBack: this.#settings.heldBack }, this, target);
    this.#pass.start();
  }

  /** A header that came whole, as one that was answered from the hot tier before: see {@link RequestMemo}. */
  #answerKnown(octets: Uint8Array): boolean {
    const name = headName(octets);
    const known = name === undefined ? undefined : this.#settings.sites.getfileMemo.get(name);
    const hot = known === undefined ? undefined : this.#context.hot.lookup(known.hotName);
    if (known === undefined || hot === undefined) return false;
    this.#state = "answering";
    this.#record.path = known.path;
    this.#socket.timeout(0);
    this.#sendHot(hot);
    return true;
  }

  /** @param octets The header, when it came whole and nothing with it: for the memo. */
  #request(path: string, octets: Uint8Array | undefined): void {
    this.#state = "answering";
    this.#record.path = path;
    const asked = getfileTarget("", path);
    if (asked.kind === "refused") return this.#answerWithoutBody({ status: asked.status });
    const { table, getfileMemo } = this.#settings.sites;
    const site = table.find(undefined, asked.target);
    if (site === undefined) return this.#answerWithoutBody({ status: "FILE_NOT_FOUND" });
    this.#socket.timeout(0);
    const joined = site.join(asked.target);
    const ruling = site.rulingOn(joined);
    const target = site.forwarded(joined, ruling);
    const keyTarget = ruling.rule?.keyTarget(target) ?? target;
    this.#asked = { site, target };
    const hotKey = site.hotPrefix + keyTarget;
    const hotAs = hotName("getfile", hotKey);
    const hot = ruling.bypass ? undefined : this.#context.hot.lookup(hotAs);
    if (hot !== undefined) {
      const name = octets === undefined ? undefined : headName(octets);
      if (name !== undefined) getfileMemo.keep(name, { path, hotName: hotAs });
      return this.#sendHot(hot);
    }
    this.#record.begin();
    const wanted: WantedResponse = {
      wire: "getfile",
      acceptsLoan: true,
      method: "GET",
      site: site.id,
      target,
      fieldSection: "",
      forwardingSection: getfileForwarding(this.address).render(),
    };
    this.#delivery = new Delivery(this.#context, this, wanted, { keyTarget, hotKey });
    this.#delivery.start();
  }

  #sendHot(hot: HotResponse): void {
    this.#context.counters.add("hotHits");
    this.#record.beginHot();
    let { ready } = hot;
    if (!this.#context.hot.isReady(hot)) {
      const head = formatResponseHead(this.#settings.wire, { status: "OK", length: hot.bodyBytes });
      ready = readyWith(hot, head, Number.POSITIVE_INFINITY); // says no age: rendered once
    }
    this.#sender.sendHot(hot, ready);
  }

  #answerWithoutBody(outcome: Exclude<GetfileOutcome, { status: "OK" }>): void {
    this.#state = "answering";
    this.#record.refused("refused", STATUS_OF[outcome.status]);
    this.#sender.send(new ReadyResponse(Buffer.from(formatResponseHead(this.#settings.wire, outcome), "latin1")));
  }

  /** The client closes first; until then what it still sends is read and dropped, so that no reset eats the tail. */
  #linger(): void {
    this.#state = "lingering";
    this.#socket.linger(LINGER_TIMEOUT_S);
  }
}

/** Whether nothing is behind the CR LF CR LF of a header. */
function endsAtHeader(octets: Uint8Array): boolean {
  return octets.indexOf(CR) === octets.length - 4;
}

const CR = 0x0d;
/** What GETFILE's statuses are called where HTTP's stand beside them. */
const STATUS_OF = { FILE_NOT_FOUND: 404, ERROR: 502, INVALID: 400 } as const;
