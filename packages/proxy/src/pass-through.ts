import type { OriginClient, OriginError, OriginExchange, OriginHandler } from "@proj/origin";
import {
  BodyDecoder,
  type Fields,
  type Framing,
  gatewayName,
  isSafeMethod,
  isSaidByProxies,
  listElements,
  type Malformed,
  type RequestHead,
  type ResponseHead,
  renderChunkHead,
  renderLastChunk,
} from "@proj/protocol";
import type { Outgoing } from "./outgoing.ts";
import { newPassExchange, type PassEvent, type PassExchange, step } from "./pass-exchange.ts";
import type { PassRequest } from "./pass-request.ts";
import { passFraming, renderInterim, renderPassHead, renderSwitch } from "./pass-response.ts";
import { faultOf, type GatewayFault } from "./proxy-status.ts";
import type { Peer } from "./request-fields.ts";
import type { OutgoingFraming } from "./response-head.ts";
import type { PassRoute } from "./route.ts";

/** The client's connection, as far as a request that passes needs it. */
export interface PassClient {
  readonly out: Outgoing;
  /** Stops reading: what the client sends stays with the kernel. */
  holdBack(): void;
  goOn(): void;
  /** What a response's head says about the connection; also settles whether it goes on. `mayGoOn` false: it can not. */
  connectionOption(mayGoOn: boolean): "keep-alive" | "close" | undefined;
  /** Octets came behind the head of a request that offers another protocol. */
  readonly hasEarlyOctets: boolean;
  /** The origin has answered: its response goes out from now on. */
  passAnswered(response: ResponseHead): void;
  /** A response of ours: nothing of the origin's went out. Unless `requestWhole`, what comes next is not a request. */
  passRefused(fault: GatewayFault | Malformed, requestWhole: boolean): void;
  /** All of it went out. */
  passSent(requestWhole: boolean): void;
  passAborted(): void;
  /** The connection is a tunnel: everything that has come or comes goes to {@link PassThrough.received}. */
  switched(): void;
}

/** What all requests of one thread that pass share. */
export interface PassContext {
  readonly origin: OriginClient;
  /** Wall clock. */
  readonly nowMs: () => number;
  readonly onOriginError: (error: OriginError, target: string) => void;
  /**
   * Called with the head of each final response to an unsafe method before any of it goes to the client: what the response says is no longer good is
   * not served any more once `done` is called.
   */
  readonly invalidate: (request: PassRequest, response: ResponseHead, done: () => void) => void;
  /** Who takes a copy of this response for later requests, as it passes; undefined: nobody. */
  readonly keeperOf: (
    request: PassRequest,
    sent: PassSent,
    response: ResponseHead,
    requestTimeMs: number,
  ) => Keeper | undefined;
}

/** What the origin was told of a request, and of whom. */
export interface PassSent {
  readonly fields: Fields;
  readonly peer: Peer;
}

/** Takes a copy of a response: its content as it comes, then that it is whole. */
export interface Keeper {
  content(chunk: Uint8Array): void;
  end(): void;
}

const FAILED_UPGRADE: GatewayFault = {
  status: 502,
  error: "http_upgrade_failed",
  text: "The origin switched to a protocol that it was not asked for",
};

/** Drives one {@link PassExchange}: passes a request to the origin and its response to the client, each as it comes, neither faster than the other side takes it. */
export class PassThrough implements OriginHandler {
  readonly #context: PassContext;
  readonly #client: PassClient;
  readonly #request: PassRequest;
  readonly #head: RequestHead;
  readonly #route: PassRoute;
  readonly #decoder: BodyDecoder | undefined;
  #state: PassExchange;
  #exchange: OriginExchange | undefined;
  #requestTimeMs = 0;
  #sent: PassSent | undefined;
  #keeper: Keeper | undefined;
  #framing: OutgoingFraming = { kind: "none" };
  #clientHeld = false;
  /** Octets of the request's content since the last look at how fast they come. */
  #contentBytes = 0;
  #continueAwaited: boolean;
  /** Something has passed since the last look. */
  #moved = true;

  constructor(context: PassContext, client: PassClient, request: PassRequest) {
    const { head, route } = request;
    this.#context = context;
    this.#client = client;
    this.#request = request;
    this.#head = head;
    this.#route = route;
    this.#decoder = route.framing === undefined ? undefined : new BodyDecoder(route.framing);
    this.#state = newPassExchange(route.framing !== undefined);
    this.#continueAwaited =
      route.framing !== undefined &&
      head.minorVersion === 1 &&
      listElements(head.fields, "expect").includes("100-continue");
  }

  get isTunnel(): boolean {
    return this.#state.phase === "tunnelling";
  }

  start(peer: Peer): void {
    this.#requestTimeMs = this.#context.nowMs();
    const prepared = this.#request.preparedFor(peer);
    this.#sent = { fields: prepared.request.fields, peer };
    this.#exchange = this.#context.origin.send(prepared, this);
  }

  // ---- what the client's connection reports

  /** Takes what belongs to this request of `bytes[start..end)`: content, or a tunnel's octets. Returns how many; the rest is the next request's. */
  received(bytes: Uint8Array, start: number, end: number): number {
    this.#moved = true;
    if (this.#state.phase === "tunnelling") {
      if (this.#exchange?.write(bytes.subarray(start, end)) === false) this.#holdClient();
      return end - start;
    }
    const decoder = this.#decoder;
    if (this.#state.phase !== "exchanging" || this.#state.request === "whole" || decoder === undefined) return 0;
    const parts: Uint8Array[] = [];
    const taken = decoder.push(bytes, start, end, (from, to) => parts.push(bytes.subarray(from, to)));
    if (typeof taken === "object") {
      this.#requestFailed(taken);
      return end - start;
    }
    this.#continueAwaited = false;
    this.#contentBytes += taken;
    this.#passContent(parts);
    if (decoder.done) this.#contentWhole(decoder.trailers);
    return taken;
  }

  /** The client sends no more. */
  clientEnded(): void {
    if (this.#state.phase === "tunnelling") this.#exchange?.endContent();
    else if (this.#isReceiving) this.#requestFailed({ kind: "malformed", reason: "content-cut-short", status: 400 });
  }

  /** The connection is gone. */
  clientLeft(): void {
    if (this.#state.phase === "done") return;
    this.#step({ type: "client-left" });
    this.#exchange?.abort();
    this.#client.out.discard();
  }

  /** The kernel has taken all that there was for the client. */
  drained(): void {
    this.#delivered();
    this.#exchange?.resume();
  }

  /** The kernel does not take what there is for the client. */
  heldBack(): void {
    this.#exchange?.pause();
  }

  /** How many octets of content came since the last call; undefined when the client is not the one who is waited for. */
  takeContentBytes(): number | undefined {
    const bytes = this.#contentBytes;
    this.#contentBytes = 0;
    return this.#isReceiving && !this.#clientHeld && !this.#continueAwaited ? bytes : undefined;
  }

  /** Whether anything has passed since the last call. */
  takeMoved(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    return moved;
  }

  /** The client takes too long with its content. */
  tooSlow(): void {
    this.#requestFailed({ kind: "malformed", reason: "content-too-slow", status: 408 });
  }

  // ---- what the origin reports

  onDrain(): void {
    this.#releaseClient();
  }

  onInformational(head: ResponseHead): void {
    // RFC 9110 section 15.2: not to HTTP/1.0; and a 100 that nobody asked for tells nobody anything.
    if (this.#head.minorVersion === 0) return;
    if (head.status === 100 && !this.#takeContinueAwaited()) return;
    this.#client.out.text(renderInterim(head));
  }

  onSwitch(head: ResponseHead): void {
    const protocol = head.fields.get("upgrade");
    if (protocol?.toLowerCase() !== this.#route.upgrade?.toLowerCase()) {
      this.#exchange?.abort();
      this.#step({ type: "origin-failed" });
      return this.#over(FAILED_UPGRADE);
    }
    this.#step({ type: "switched" });
    this.#client.passAnswered(head);
    this.#client.out.text(renderSwitch(head, protocol!));
    this.#client.switched();
  }

  onHead(head: ResponseHead, framing: Framing): void {
    this.#step({ type: "head" });
    this.#client.out.begin();
    this.#client.passAnswered(head);
    this.#framing = passFraming(framing, this.#head.minorVersion);
    // Who sends a request's content when its response is there already may go on for long: the connection is not waited for.
    const mayGoOn = !this.#isReceiving && !this.#isUnclear && this.#framing.kind !== "until-close";
    const connection = this.#client.connectionOption(mayGoOn);
    const { method } = this.#head;
    if (!isSafeMethod(method)) this.#invalidate(head);
    this.#keeper = this.#context.keeperOf(this.#request, this.#sent!, head, this.#requestTimeMs);
    const nowMs = this.#context.nowMs();
    this.#client.out.text(renderPassHead(head, { method, framing: this.#framing, connection, nowMs }));
  }

  onContent(chunk: Uint8Array): void {
    this.#moved = true;
    this.#keeper?.content(chunk);
    const { out } = this.#client;
    const isChunk = this.#framing.kind === "chunked" && this.#state.phase === "exchanging";
    if (isChunk) out.text(renderChunkHead(chunk.length));
    out.bytes(chunk);
    if (isChunk) out.text("\r\n");
  }

  onEnd(trailers: Fields | undefined): void {
    this.#keeper?.end();
    const { out } = this.#client;
    if (this.#framing.kind === "chunked" && this.#state.phase === "exchanging") out.text(renderLastChunk(trailers));
    this.#step({ type: "origin-ended" });
    out.flush();
    if (!out.isHeldBack) this.#delivered();
  }

  onError(error: OriginError): void {
    this.#context.onOriginError(error, this.#route.target);
    this.#takeBack();
    this.#step({ type: "origin-failed" });
    this.#over(faultOf(error));
  }

  // ----

  /** RFC 9111 section 4.4: before the client hears of it, or it could read what it has just changed as it was. */
  #invalidate(response: ResponseHead): void {
    const { out } = this.#client;
    let isDone = false;
    let isHeld = false;
    this.#context.invalidate(this.#request, response, () => {
      isDone = true;
      if (!isHeld || this.#state.phase === "done") return; // nothing had to be waited for, or nothing is left that would
      out.release();
      if (!out.isHeldBack) this.drained();
    });
    if (isDone) return;
    isHeld = true;
    out.hold();
    this.#exchange?.pause();
  }

  /** What came behind the head of a request to switch protocols may be of either. */
  get #isUnclear(): boolean {
    return this.#route.upgrade !== undefined && this.#client.hasEarlyOctets;
  }

  get #isReceiving(): boolean {
    return this.#state.phase === "exchanging" && this.#state.request === "receiving";
  }

  #step(event: PassEvent): void {
    this.#state = step(this.#state, event);
  }

  /** One write for all that came in one read, however it was cut into chunks. */
  #passContent(parts: Uint8Array[]): void {
    if (parts.length === 0) return;
    const mayGoOn = this.#exchange?.write(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
    if (mayGoOn === false) this.#holdClient();
  }

  #contentWhole(trailers: Fields | undefined): void {
    this.#step({ type: "request-whole" });
    this.#exchange?.endContent(trailers?.filter((lowerName) => !isSaidByProxies(gatewayName(lowerName))));
    this.#releaseClient(); // whoever leaves is noticed
  }

  #requestFailed(fault: Malformed): void {
    this.#exchange?.abort();
    this.#takeBack();
    this.#step({ type: "request-failed" });
    this.#over(fault);
  }

  /** A response that fails in the read that has brought its head: the client is told why, where else it would see an end for no reason. */
  #takeBack(): void {
    const state = this.#state;
    if (state.phase !== "exchanging" || state.response === "awaited" || !this.#client.out.takeBack()) return;
    this.#keeper = undefined;
    this.#step({ type: "taken-back" });
  }

  /** There will be no more of the response. */
  #over(fault: GatewayFault | Malformed): void {
    this.#releaseClient();
    if (this.#state.phase !== "done") return;
    const { outcome } = this.#state;
    if (outcome.kind === "refused") return this.#client.passRefused(fault, outcome.requestWhole && !this.#isUnclear);
    this.#client.out.discard();
    this.#client.passAborted();
  }

  #delivered(): void {
    if (!isAllThere(this.#state)) return;
    this.#step({ type: "delivered" });
    if (this.#state.phase !== "done" || this.#state.outcome.kind !== "sent") return;
    this.#releaseClient();
    this.#client.passSent(this.#state.outcome.requestWhole);
  }

  #takeContinueAwaited(): boolean {
    const awaited = this.#continueAwaited;
    this.#continueAwaited = false;
    return awaited;
  }

  #holdClient(): void {
    if (this.#clientHeld) return;
    this.#clientHeld = true;
    this.#client.holdBack();
  }

  #releaseClient(): void {
    if (!this.#clientHeld) return;
    this.#clientHeld = false;
    this.#client.goOn();
  }
}

/** Whether the origin has no more for the client. */
function isAllThere(state: PassExchange): boolean {
  if (state.phase === "exchanging") return state.response === "whole";
  return state.phase === "tunnelling" && state.originEnded;
}
