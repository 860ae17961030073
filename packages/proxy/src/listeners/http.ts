import {
  keepsAlive,
  type Malformed,
  type PortionAnswer,
  parseCacheControl,
  type RequestHead,
  type ResponseAnswer,
  type ResponseHead,
  type WantedResponse,
} from "@proj/protocol";
import { hasDecidingFields, mayPass } from "../deciding-fields.ts";
import { Delivery, type DeliveryContext } from "../delivery.ts";
import { type HotResponse, hotName, readyWith } from "../hot-tier.ts";
import { LINGER_TIMEOUT_S, SEND_TIMEOUT_S } from "../limits.ts";
import type { Loan } from "../loan-table.ts";
import { Outgoing } from "../outgoing.ts";
import { echoOf, type OwnResponse, renderOwnResponse } from "../own-response.ts";
import { PassRequest } from "../pass-request.ts";
import { isPassStorable } from "../pass-storable.ts";
import { type PassClient, PassThrough } from "../pass-through.ts";
import type { ProxySite } from "../proxy-site.ts";
import { type GatewayFault, gatewayFaultOf } from "../proxy-status.ts";
import { type Peer, renderCacheFields, renderCacheForwarding } from "../request-fields.ts";
import { headName, type KnownPass } from "../request-memo.ts";
import { outgoingFraming, renderHotHeadStart } from "../response-head.ts";
import { ASKED_WITHOUT_CACHE, type RefusalReason, type ResponseSink } from "../response-sink.ts";
import { type Route, routeOf } from "../route.ts";
import type { TrustedPeers } from "../trusted-peers.ts";
import type { ClientSocket, Connection } from "./connection.ts";
import { HttpRecord } from "./http-record.ts";
import type { HttpSettings } from "./http-settings.ts";
import { PassPace } from "./pass-pace.ts";
import { PortionFramer } from "./portion-framer.ts";
import { ReadySender, type ReadySenderOwner } from "./ready-sender.ts";
import { RequestInput, type RequestInputOwner } from "./request-input.ts";

/** One HTTP/1.1 connection: its requests are answered one after another, in order. */
export class HttpConnection implements Connection, RequestInputOwner, ResponseSink, PassClient, ReadySenderOwner {
  readonly #socket: ClientSocket;
  readonly #context: DeliveryContext;
  readonly #settings: HttpSettings;
  readonly #input: RequestInput;
  #state: "idle" | "answering" | "lingering" | "closed" = "idle";
  #keepAlive = true;
  #delivery: Delivery | undefined;
  /** See {@link #passOn}. */
  #leaveKey: string | undefined;
  #pass: PassThrough | undefined;
  readonly #framer = new PortionFramer();
  readonly #sender: ReadySender;
  #out: Outgoing | undefined;
  readonly #record: HttpRecord;
  #peer: Peer | undefined;
  /** What {@link #peer} was judged by: a configuration that is read anew brings another. */
  #peerTrust: TrustedPeers | undefined;
  /** A response of ours is on its way out. */
  #finishesWhenSent = false;
  #halfClosed = false;
  #stopping = false;
  readonly #pace = new PassPace();

  constructor(socket: ClientSocket, context: DeliveryContext, settings: HttpSettings) {
    this.#socket = socket;
    this.#context = context;
    this.#settings = settings;
    this.#input = new RequestInput(socket, settings, context.now, this);
    this.#sender = new ReadySender(socket, context.turns, this);
    this.#record = new HttpRecord(socket, context, settings.scheme === "https");
    socket.timeout(settings.limits.idleTimeoutMs / 1000);
  }

  // ---- Connection: what the socket reports

  received(chunk: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#state === "idle" && !this.#input.hasRest && this.#answerKnown(chunk)) return;
    this.#input.received(chunk);
  }

  drained(): void {
    this.#socket.timeout(SEND_TIMEOUT_S);
    if (this.#sender.isWaiting) return this.#sender.drained();
    this.#out?.drained();
    if (this.#out?.isHeldBack) return;
    if (this.#finishesWhenSent) this.#finishOwn();
    else if (this.#pass !== undefined) this.#pass.drained();
    else this.#delivery?.drained();
  }

  halfClosed(): void {
    this.#halfClosed = true;
    if (this.#state !== "answering") this.#socket.end();
    else this.#pass?.clientEnded();
  }

  closed(): void {
    this.#state = "closed";
    this.#record.ended(true);
    this.#sender.drop();
    this.#delivery?.clientLeft();
    this.#pass?.clientLeft();
    this.#out?.discard();
  }

  timedOut(): void {
    if (this.#state === "answering") {
      // Only a client that takes nothing is timed out; one that waits for the origin is not.
      if (this.#sender.isWaiting || this.#out?.isHeldBack || this.#delivery?.stalled) this.#socket.terminate();
    } else if (this.#state === "idle" && this.#input.isWithinHead) {
      this.#record.request = undefined;
      this.#answer({ status: 408, text: "The request head was not complete in time" });
    } else {
      this.#socket.end();
    }
  }

  tick(): void {
    const pass = this.#pass;
    if (pass === undefined) return;
    const { limits } = this.#settings;
    if (!pass.isTunnel && this.#pace.isTooSlow(pass, limits)) pass.tooSlow();
    else if (pass.isTunnel && this.#pace.isSilent(pass, limits)) this.#socket.terminate();
  }

  stopping(): void {
    this.#stopping = true;
    if (this.#state === "idle" || this.#state === "lingering") this.#socket.end();
    else if (this.#pass?.isTunnel) this.#socket.terminate(); // a tunnel has no end that could be waited for
  }

  // ---- RequestInputOwner: what the client has sent

  get expects(): "head" | "content" | "nothing" {
    if (this.#state === "idle") return "head";
    return this.#state === "answering" ? "content" : "nothing";
  }

  tookHead(head: RequestHead | Malformed, octets: Uint8Array | undefined): void {
    this.#state = "answering";
    if (head.kind === "request") return this.#handle(head, octets);
    this.#record.request = undefined;
    this.#refuseMalformed(head);
  }

  takeContent(bytes: Uint8Array, start: number): number {
    if (this.#state !== "answering") return 0;
    return this.#pass?.received(bytes, start, bytes.length) ?? 0;
  }

  // ---- ResponseSink: a response of the cache's

  begin(response: ResponseAnswer, portion: PortionAnswer): boolean {
    this.#record.answered(response);
    const framing = outgoingFraming(this.#request!, response.status, portion.bodyBytes);
    this.#framer.begin(response, framing, this.connectionOption(framing.kind !== "until-close"));
    this.#sender.expectBody(portion.bodyBytes, portion.loan !== undefined);
    return true;
  }

  interim(message: Uint8Array): void {
    if (this.#request?.minorVersion !== 1) return; // RFC 9110 section 15.2
    this.out.bytes(message);
    this.out.flush();
  }

  get framesBody(): boolean {
    return this.#framer.framesBody;
  }

  frame(segment: Uint8Array, portion: PortionAnswer): { start: number; end: number } {
    return this.#framer.frame(segment, portion);
  }

  write(bytes: Uint8Array, isMore: boolean): number {
    // What the kernel has left of an interim response goes first.
    const taken = this.#out?.isHeldBack === true ? 0 : this.#socket.write(bytes, isMore);
    return this.#took(taken, bytes.length);
  }

  writeLoan(loan: Loan, start: number): number {
    const taken = this.#out?.isHeldBack === true ? 0 : this.#sender.writeLoan(loan, start);
    return this.#took(taken, loan.bytes.length - start);
  }

  #took(taken: number, length: number): number {
    if (taken < length) this.#socket.timeout(SEND_TIMEOUT_S);
    if (taken > 0) this.#record.sentPortion(taken);
    return taken;
  }

  refuse(reason: RefusalReason): void {
    const request = this.#request!;
    if (ASKED_WITHOUT_CACHE.has(reason)) {
      // RFC 9111 section 5.2.1.7: nothing is stored without the cache.
      if (parseCacheControl(request.fields).onlyIfCached) return this.refuse("not-stored");
      const route = routeOf(request, this.#settings.sites.table);
      if (route.kind === "cache")
        return this.#passOn(
          new PassRequest(request, { ...route, kind: "pass", fromCache: undefined, ...WITHOUT_CONTENT }),
        );
    }
    this.#answer(gatewayFaultOf(reason));
  }

  finish(): void {
    this.#context.counters.add("httpRequests");
    this.#record.ended(false);
    this.#delivery = undefined;
    this.#next();
  }

  abort(): void {
    this.#context.counters.add("httpRequests");
    this.#record.ended(true);
    this.#socket.terminate();
  }

  sent(bytes: number): void {
    this.#record.sent(bytes);
  }

  get endsAfterResponse(): boolean {
    return !this.#keepAlive;
  }

  // ---- PassClient: a response of the origin's

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

  get hasEarlyOctets(): boolean {
    return this.#input.hasRest;
  }

  connectionOption(mayGoOn: boolean): "keep-alive" | "close" | undefined {
    if (!mayGoOn || this.#stopping) this.#keepAlive = false;
    if (!this.#keepAlive) return "close";
    return this.#request?.minorVersion === 0 ? "keep-alive" : undefined;
  }

  holdBack(): void {
    this.#input.holdBack();
  }

  goOn(): void {
    if (this.#state !== "closed") this.#input.goOn();
  }

  passAnswered(response: ResponseHead): void {
    this.#record.passed(response.status);
    const key = this.#leaveKey;
    if (key === undefined) return;
    // What could not be shared may have been due to who asked then: the cache is to see the next one.
    if (isPassStorable(this.#request!, response)) this.#context.passes.forget(key);
  }

  passRefused(fault: GatewayFault | Malformed, requestWhole: boolean): void {
    this.#pass = undefined;
    if (!requestWhole) this.#keepAlive = false;
    this.#context.counters.add("responsesRefused");
    if ("kind" in fault) return this.#refuseMalformed(fault);
    this.#answer(fault);
  }

  passSent(requestWhole: boolean): void {
    this.#context.counters.add("responsesSent");
    this.#context.counters.add("httpRequests");
    this.#record.ended(false);
    this.#pass = undefined;
    if (!requestWhole) this.#keepAlive = false;
    this.#next();
  }

  passAborted(): void {
    this.#pass = undefined;
    this.#context.counters.add("responsesAborted");
    this.abort();
  }

  switched(): void {
    this.#keepAlive = false;
    this.#pace.reset();
    this.#input.takeRest();
    if (this.#halfClosed) this.#pass?.clientEnded();
  }

  // ----

  /** What is being answered; undefined when it could not be read as a request. */
  get #request(): RequestHead | undefined {
    return this.#record.request;
  }

  get #isOver(): boolean {
    return this.#state === "lingering" || this.#state === "closed";
  }

  /** A head that has been answered from the hot tier before is answered from it again, if that still holds the response; one that has passed passes again. */
  #answerKnown(octets: Uint8Array): boolean {
    const name = headName(octets);
    if (name === undefined) return false;
    const { memo, passMemo } = this.#settings.sites;
    const known = memo.get(name);
    const hot = known === undefined ? undefined : this.#context.hot.lookup(known.hotName);
    if (known !== undefined && hot !== undefined) {
      this.#know(known.head, known.keepsAlive);
      this.#sendHot(hot);
      return true;
    }
    const pass = passMemo.get(name);
    return pass !== undefined && this.#passKnown(pass);
  }

  #passKnown({ request, keepsAlive, leaveKey, mayBeHot }: KnownPass): boolean {
    if (leaveKey !== undefined) {
      if (mayBeHot && this.#context.hot.lookup(hotName("http", leaveKey)) !== undefined) return false;
      if (!this.#context.passes.has(leaveKey)) return false;
    }
    this.#know(request.head, keepsAlive);
    if (leaveKey !== undefined) this.#record.begin("bypass");
    this.#passOn(request, leaveKey);
    return true;
  }

  #know(head: RequestHead, keepsAlive: boolean): void {
    this.#state = "answering";
    this.#record.request = head;
    this.#keepAlive = keepsAlive;
  }

  /** @param octets The head, when nothing came with it: for the memo. */
  #handle(head: RequestHead, octets: Uint8Array | undefined): void {
    this.#record.request = head;
    this.#keepAlive = keepsAlive(head);
    const route = routeOf(head, this.#settings.sites.table);
    if (route.kind === "cache") this.#retrieve(head, route, octets);
    else if (route.kind === "pass") this.#passFirst(new PassRequest(head, route), undefined, octets);
    else this.#answerAt(route, head);
  }

  #retrieve(
    head: RequestHead,
    route: Extract<Route<ProxySite>, { kind: "cache" }>,
    octets: Uint8Array | undefined,
  ): void {
    const { site, target, keyTarget, authority, counted } = route;
    const hotKey = site.hotPrefix + keyTarget;
    const hotAs = hotName("http", hotKey);
    const hot = hasDecidingFields(head) ? undefined : this.#context.hot.lookup(hotAs);
    if (hot !== undefined) {
      const name = octets === undefined ? undefined : headName(octets);
      if (name !== undefined)
        this.#settings.sites.memo.keep(name, { head, keepsAlive: this.#keepAlive, hotName: hotAs });
      return this.#sendHot(hot);
    }
    if (mayPass(head) && this.#context.passes.has(hotKey)) {
      this.#record.begin("bypass");
      const pass = { kind: "pass", site, target, authority, fromCache: counted, ...WITHOUT_CONTENT } as const;
      return this.#passFirst(new PassRequest(head, pass), hotKey, octets);
    }
    this.#record.begin();
    const wanted: WantedResponse = {
      wire: "http",
      acceptsLoan: true,
      method: head.method === "HEAD" ? "HEAD" : "GET",
      site: site.id,
      target,
      fieldSection: renderCacheFields(head),
      forwardingSection: renderCacheForwarding(head, authority, this.#peerOf(this.#settings.trusted), counted),
    };
    this.#delivery = new Delivery(this.#context, this, wanted, { keyTarget, hotKey });
    this.#delivery.start();
  }

  /** A request that passes for the first time, by this head: it is known from here on, but where its head is changed for a trace. */
  #passFirst(request: PassRequest, leaveKey: string | undefined, octets: Uint8Array | undefined): void {
    const name = octets === undefined || this.#context.tracing !== undefined ? undefined : headName(octets);
    if (name !== undefined) {
      const mayBeHot = leaveKey !== undefined && !hasDecidingFields(request.head);
      this.#settings.sites.passMemo.keep(name, { request, keepsAlive: this.#keepAlive, leaveKey, mayBeHot });
    }
    this.#passOn(request, leaveKey);
  }

  /** @param leaveKey The target as the hot tier names it, where it passes because the cache has given leave for it. */
  #passOn(request: PassRequest, leaveKey?: string): void {
    this.#leaveKey = leaveKey;
    const peer = this.#peerOf(this.#settings.trusted);
    this.#delivery = undefined;
    this.#record.begin();
    this.#pace.reset();
    this.#context.counters.add("passes");
    this.#pass = new PassThrough(request.route.site.pass, this, request);
    this.#pass.start(peer);
  }

  #peerOf(trusted: TrustedPeers): Peer {
    if (this.#peer === undefined || this.#peerTrust !== trusted) {
      const { address } = this.#record;
      this.#peer = { address, isTrusted: trusted.has(address), scheme: this.#settings.scheme };
      this.#peerTrust = trusted;
    }
    return this.#peer;
  }

  #answerAt(route: Exclude<Route<ProxySite>, { kind: "cache" | "pass" }>, head: RequestHead): void {
    // What content there is is not read, and must not be taken for the next request.
    if (head.fields.has("content-length") || head.fields.has("transfer-encoding")) this.#keepAlive = false;
    switch (route.kind) {
      case "malformed":
        return this.#refuseMalformed(route.fault);
      case "answer":
        if (head.method === "CONNECT") this.#keepAlive = false; // what follows is meant for a tunnel
        return this.#answer(route);
      case "echo":
        return this.#answer(echoOf(head));
      case "options":
        return this.#answer({ status: 200, text: "This proxy passes every method but CONNECT" });
    }
  }

  #sendHot(hot: HotResponse): void {
    const { counters, hot: tier } = this.#context;
    counters.add("hotHits");
    this.#record.beginHot();
    const connection = this.connectionOption(true);
    let { ready } = hot;
    if (connection !== undefined || !tier.isReady(hot)) {
      const times = tier.times(hot);
      const headStart = renderHotHeadStart(hot.bodyBytes, times, connection);
      ready = readyWith(hot, headStart, connection === undefined ? times.untilMs : Number.NEGATIVE_INFINITY);
    }
    this.#sender.sendHot(hot, ready);
  }

  /** The response is out: the connection goes on with what has come meanwhile, or waits, or closes. */
  #next(): void {
    if (!this.#keepAlive) return this.#linger();
    this.#state = "idle";
    this.#socket.timeout(this.#settings.limits.idleTimeoutMs / 1000);
    this.goOn();
    if (this.#input.isTaking) return; // the loop that took this request takes the next
    this.#input.takeRest();
    if (this.#state === "idle" && (this.#halfClosed || this.#stopping)) this.#socket.end();
  }

  #refuseMalformed(fault: Malformed): void {
    this.#context.counters.add("malformedRequests");
    this.#keepAlive = false;
    this.#answer({ status: fault.status, text: `Malformed request: ${fault.reason}` }, "malformed");
  }

  #answer(response: OwnResponse, verdict: "refused" | "malformed" = "refused"): void {
    this.#state = "answering";
    this.#record.refused(verdict, response.status);
    this.#delivery = undefined;
    const connection = this.connectionOption(response.status !== 408);
    const isHead = this.#request?.method === "HEAD";
    const nowMs = this.#settings.nowMs();
    this.out.text(renderOwnResponse(response, { isHead, connection, nowMs }));
    this.out.flush();
    if (!this.out.isHeldBack) return this.finish();
    this.#finishesWhenSent = true;
  }

  #finishOwn(): void {
    this.#finishesWhenSent = false;
    this.finish();
  }

  #linger(): void {
    this.#state = "lingering";
    this.#input.drop();
    this.goOn();
    if (this.#halfClosed) this.#socket.end();
    else this.#socket.linger(LINGER_TIMEOUT_S);
  }
}

const WITHOUT_CONTENT = { framing: undefined, upgrade: undefined } as const;
