import {
  endToEndFields,
  type Fields,
  HeadScanner,
  keepsAlive,
  LAST_CHUNK,
  type Malformed,
  type PortionAnswer,
  parseCacheControl,
  parseRequestHead,
  type RequestHead,
  type ResponseAnswer,
  type ResponseHead,
  renderChunkHead,
  storable,
  type WantedResponse,
  writeLatin1,
} from "@proj/protocol";
import type { Asked, RequestRecord } from "../access-recorder.ts";
import { Delivery, type DeliveryContext } from "../delivery.ts";
import { type HotResponse, readyWith, restOf } from "../hot-tier.ts";
import {
  type ClientLimits,
  CONTENT_RATE_WINDOW_S,
  LINGER_TIMEOUT_S,
  PIPELINE_BYTES_MAX,
  SEND_TIMEOUT_S,
  TICK_MS,
} from "../limits.ts";
import type { Loan } from "../loan-table.ts";
import { Outgoing } from "../outgoing.ts";
import { echoOf, type OwnResponse, renderOwnResponse } from "../own-response.ts";
import { type PassClient, PassThrough } from "../pass-through.ts";
import type { ProxySite } from "../proxy-site.ts";
import type { ProxySites } from "../proxy-sites.ts";
import { errorTypeOf, type GatewayFault } from "../proxy-status.ts";
import { ReadyResponse } from "../ready-response.ts";
import { type Peer, renderCacheFields } from "../request-fields.ts";
import { outgoingFraming, renderHeadStart, renderHotHeadStart } from "../response-head.ts";
import { ASKED_WITHOUT_CACHE, type RefusalReason, type ResponseSink } from "../response-sink.ts";
import { type PassRoute, type Route, routeOf } from "../route.ts";
import type { LargeSender } from "../send-turns.ts";
import type { TrustedPeers } from "../trusted-peers.ts";
import { boundSendBuffer, type ClientSocket, type Connection, clientAddress } from "./connection.ts";

/** What all HTTP connections of one thread share. */
export interface HttpSettings {
  readonly sites: ProxySites;
  /** These two may be others for the next request: the configuration is read again while connections are open. */
  trusted: TrustedPeers;
  limits: ClientLimits;
  /** Wall clock. */
  readonly nowMs: () => number;
  readonly scheme: "http" | "https";
}

/** What a refusal is to an HTTP client. */
const STATUS_OF: Record<RefusalReason, number> = {
  "not-found": 404,
  "origin-error": 502,
  refused: 400,
  "length-unknown": 502,
  cancelled: 503,
  "cut-short": 502,
  "origin-timeout": 504,
  overloaded: 503,
  pending: 503,
  "not-stored": 504,
  unvalidated: 504,
  "origin-refused": 502,
  "origin-unknown": 502,
  "origin-tls": 502,
  "origin-malformed": 502,
  "request-too-large": 431,
  "cache-away": 503,
};
const CRLF = "\r\n";
const LAST_CHUNK_HEAD = "0\r\n";
const CONTENT_RATE_WINDOW_TICKS = (CONTENT_RATE_WINDOW_S * 1000) / TICK_MS;

/** One HTTP/1.1 connection: its requests are answered one after another, in order. */
export class HttpConnection implements Connection, ResponseSink, PassClient, LargeSender {
  framesBody = false;
  readonly #socket: ClientSocket;
  readonly #context: DeliveryContext;
  readonly #settings: HttpSettings;
  readonly #scanner: HeadScanner;
  /** Bytes received and not yet taken; a head may start anywhere in them. */
  #input: Uint8Array | undefined;
  #taking = false;
  #paused = false;
  #state: "idle" | "answering" | "lingering" | "closed" = "idle";
  #headStartedMs: number | undefined;
  #request: RequestHead | undefined;
  #keepAlive = true;
  #delivery: Delivery | undefined;
  /** See {@link #passOn}. */
  #leaveKey: string | undefined;
  #pass: PassThrough | undefined;
  #head = "";
  #headBytesLeft = 0;
  #inTrailers = false;
  /** A hot response, or the rest of one, that waits for the client only. */
  #ready: ReadyResponse | undefined;
  readonly #write = (bytes: Uint8Array): number => {
    const taken = this.#socket.write(bytes);
    if (taken > 0) this.#sent(taken);
    return taken;
  };
  #out: Outgoing | undefined;
  /** What the kernel holds of our responses is bounded. */
  #isBounded = false;
  /** What will be said of the request that is being answered; of a hot hit only if it is one of those of which something is said. */
  #record: RequestRecord | undefined;
  #address: string | undefined;
  #peer: Peer | undefined;
  /** What {@link #peer} was judged by: a configuration that is read anew brings another. */
  #peerTrust: TrustedPeers | undefined;
  /** A response of ours is on its way out. */
  #finishesWhenSent = false;
  #halfClosed = false;
  #stopping = false;
  /** Ticks, and octets of content, of the window over which a rate is kept; in a tunnel, ticks without an octet. */
  #ticks = 0;
  #windowBytes = 0;

  constructor(socket: ClientSocket, context: DeliveryContext, settings: HttpSettings) {
    this.#socket = socket;
    this.#context = context;
    this.#settings = settings;
    this.#scanner = new HeadScanner(settings.limits.head);
    socket.timeout(settings.limits.idleTimeoutMs / 1000);
  }

  // ---- Connection: what the socket reports

  received(chunk: Uint8Array): void {
    if (this.#state === "lingering" || this.#state === "closed") return;
    const kept = this.#input;
    if (kept === undefined) {
      if (this.#state === "idle" && this.#answerKnown(chunk)) return;
      return this.#take(chunk, "borrowed");
    }
    this.#input = undefined;
    this.#take(Buffer.concat([kept, chunk]), "owned");
  }

  drained(): void {
    this.#socket.timeout(SEND_TIMEOUT_S);
    if (this.#ready !== undefined) return this.#readyDrained(this.#ready);
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
    this.#ended(true);
    if (this.#ready !== undefined) this.#context.turns.end(this);
    this.#ready?.drop();
    this.#delivery?.clientLeft();
    this.#pass?.clientLeft();
    this.#out?.discard();
  }

  timedOut(): void {
    if (this.#state === "answering") {
      // Only a client that takes nothing is timed out; one that waits for the origin is not.
      if (this.#ready !== undefined || this.#out?.isHeldBack || this.#delivery?.stalled) this.#socket.terminate();
    } else if (this.#state === "idle" && this.#headStartedMs !== undefined) {
      this.#answer({ status: 408, text: "The request head was not complete in time" });
    } else {
      this.#socket.end();
    }
  }

  tick(): void {
    const pass = this.#pass;
    if (pass === undefined) return;
    if (pass.isTunnel) this.#tickTunnel(pass);
    else this.#tickContent(pass);
  }

  stopping(): void {
    this.#stopping = true;
    if (this.#state === "idle" || this.#state === "lingering") this.#socket.end();
    else if (this.#pass?.isTunnel) this.#socket.terminate(); // a tunnel has no end that could be waited for
  }

  // ---- ResponseSink: a response of the cache's

  begin(response: ResponseAnswer, portion: PortionAnswer): boolean {
    if (this.#record !== undefined) this.#context.access.answered(this.#record, response);
    const framing = outgoingFraming(this.#request!, response.status, portion.bodyBytes);
    this.framesBody = framing.kind === "chunked";
    this.#head = renderHeadStart(response, framing, this.connectionOption(framing.kind !== "until-close"));
    this.#headBytesLeft = response.headBytes;
    this.#inTrailers = false;
    this.#expectBody(portion.bodyBytes);
    return true;
  }

  interim(message: Uint8Array): void {
    if (this.#request?.minorVersion !== 1) return; // RFC 9110 section 15.2
    this.out.bytes(message);
    this.out.flush();
  }

  frame(segment: Uint8Array, portion: PortionAnswer): { start: number; end: number } {
    const { payloadOffset, bytes, last } = portion;
    if (portion.trailers) return this.#frameTrailers(segment, portion);
    const isHead = this.#headBytesLeft > 0;
    this.#headBytesLeft = Math.max(0, this.#headBytesLeft - bytes);
    const isChunk = this.framesBody && !isHead && bytes > 0;
    const before = isChunk ? this.#head + renderChunkHead(bytes) : this.#head;
    const after = (isChunk ? CRLF : "") + (this.framesBody && last ? LAST_CHUNK : "");
    this.#head = "";
    const start = payloadOffset - before.length;
    if (before === "" && after === "") return { start, end: payloadOffset + bytes };
    writeLatin1(segment, before, start);
    writeLatin1(segment, after, payloadOffset + bytes);
    return { start, end: payloadOffset + bytes + after.length };
  }

  /** RFC 9112 section 7.1.2: behind the last chunk. */
  #frameTrailers(segment: Uint8Array, { payloadOffset, bytes, last }: PortionAnswer): { start: number; end: number } {
    if (!this.framesBody) return { start: payloadOffset, end: payloadOffset };
    const before = this.#inTrailers ? "" : LAST_CHUNK_HEAD;
    this.#inTrailers = !last;
    const after = last ? CRLF : "";
    writeLatin1(segment, before, payloadOffset - before.length);
    writeLatin1(segment, after, payloadOffset + bytes);
    return { start: payloadOffset - before.length, end: payloadOffset + bytes + after.length };
  }

  write(bytes: Uint8Array): number {
    // What the kernel has left of an interim response goes first.
    const taken = this.#out?.isHeldBack === true ? 0 : this.#socket.write(bytes);
    if (taken < bytes.length) this.#socket.timeout(SEND_TIMEOUT_S);
    if (taken > 0 && this.#record !== undefined) this.#record.bytes += taken;
    return taken;
  }

  refuse(reason: RefusalReason): void {
    const request = this.#request!;
    if (ASKED_WITHOUT_CACHE.has(reason)) {
      // RFC 9111 section 5.2.1.7: nothing is stored without the cache.
      if (parseCacheControl(request.fields).onlyIfCached) return this.refuse("not-stored");
      const route = routeOf(request, this.#settings.sites.table);
      if (route.kind === "cache")
        return this.#passOn(request, { ...route, kind: "pass", fromCache: false, ...WITHOUT_CONTENT });
    }
    this.#answer({ status: STATUS_OF[reason], text: REASON_TEXT[reason], error: errorTypeOf(reason) });
  }

  finish(): void {
    this.#context.counters.add("httpRequests");
    this.#ended(false);
    this.#delivery = undefined;
    this.#next();
  }

  abort(): void {
    this.#context.counters.add("httpRequests");
    this.#ended(true);
    this.#socket.terminate();
  }

  // ---- PassClient: a response of the origin's

  get out(): Outgoing {
    this.#out ??= new Outgoing(this.#socket, {
      onHeldBack: () => {
        this.#socket.timeout(SEND_TIMEOUT_S);
        this.#pass?.heldBack();
      },
      onSent: (bytes) => this.#sent(bytes),
    });
    return this.#out;
  }

  get hasEarlyOctets(): boolean {
    return this.#input !== undefined;
  }

  connectionOption(mayGoOn: boolean): "keep-alive" | "close" | undefined {
    if (!mayGoOn || this.#stopping) this.#keepAlive = false;
    if (!this.#keepAlive) return "close";
    return this.#request?.minorVersion === 0 ? "keep-alive" : undefined;
  }

  holdBack(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  goOn(): void {
    if (!this.#paused || this.#state === "closed") return;
    this.#paused = false;
    this.#socket.resume();
  }

  passAnswered({ status, fields }: ResponseHead): void {
    if (this.#record !== undefined) this.#context.access.passed(this.#record, status);
    const key = this.#leaveKey;
    if (key === undefined) return;
    // What could not be shared may have been due to who asked then: the cache is to see the next one.
    if (storable(this.#request!, { status, fields: endToEndFields(fields) }).storable) this.#context.passes.forget(key);
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
    this.#ended(false);
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
    this.#ticks = 0;
    const input = this.#input;
    this.#input = undefined;
    if (input !== undefined) this.#take(input, "owned");
    if (this.#halfClosed) this.#pass?.clientEnded();
  }

  // ----

  /**
   * Takes requests off `bytes`, and the content of one that passes, until a response has to be waited for; keeps the rest.
   *
   * @param ownership "borrowed": the memory is the socket's, what is kept of it is copied.
   */
  #take(bytes: Uint8Array, ownership: "borrowed" | "owned"): void {
    let start = 0;
    this.#taking = true;
    while (start < bytes.length) {
      const taken = this.#state === "idle" ? this.#takeHead(bytes, start) : this.#takeContent(bytes, start);
      if (taken === 0) break;
      start += taken;
    }
    this.#taking = false;
    if (this.#isOver || start === bytes.length) return;
    const rest = bytes.subarray(start);
    this.#input = ownership === "owned" ? rest : new Uint8Array(rest);
    if (this.#state === "answering" && rest.length >= PIPELINE_BYTES_MAX) this.holdBack();
  }

  /** Octets taken: those of one head, or none while it is not whole. */
  #takeHead(bytes: Uint8Array, start: number): number {
    const end = this.#scanner.scan(bytes, start, bytes.length);
    if (end === undefined) {
      this.#waitForHead();
      return 0;
    }
    const head = typeof end === "object" ? end : parseRequestHead(bytes, start, end, this.#settings.limits.head);
    this.#headStartedMs = undefined;
    this.#state = "answering";
    if (head.kind === "request") {
      const isAlone = start === 0 && end === bytes.length;
      this.#handle(head, isAlone ? bytes : undefined);
    } else {
      this.#request = undefined;
      this.#refuseMalformed(head);
    }
    return typeof end === "number" ? end - start : 0;
  }

  #takeContent(bytes: Uint8Array, start: number): number {
    if (this.#state !== "answering") return 0;
    return this.#pass?.received(bytes, start, bytes.length) ?? 0;
  }

  get #isOver(): boolean {
    return this.#state === "lingering" || this.#state === "closed";
  }

  /** A head that is sent a byte at a time has as long as any other. */
  #waitForHead(): void {
    const nowMs = this.#context.now();
    const { headTimeoutMs } = this.#settings.limits;
    if (this.#headStartedMs === undefined) {
      this.#headStartedMs = nowMs;
      this.#socket.timeout(headTimeoutMs / 1000);
    } else if (nowMs - this.#headStartedMs > headTimeoutMs) {
      this.timedOut();
    }
  }

  /** A head that has been answered from the hot tier before is answered from it again, if that still holds the response. */
  #answerKnown(octets: Uint8Array): boolean {
    const known = this.#settings.sites.memo.get(octets);
    const hot = known === undefined ? undefined : this.#context.hot.lookup("http", known.hotKey);
    if (known === undefined || hot === undefined) return false;
    this.#state = "answering";
    this.#request = known.head;
    this.#keepAlive = known.keepsAlive;
    this.#sendHot(hot);
    return true;
  }

  /** @param octets The head, when nothing came with it: for the memo. */
  #handle(head: RequestHead, octets: Uint8Array | undefined): void {
    this.#request = head;
    this.#keepAlive = keepsAlive(head);
    const route = routeOf(head, this.#settings.sites.table);
    if (route.kind === "cache") this.#retrieve(head, route, octets);
    else if (route.kind === "pass") this.#passOn(head, route);
    else this.#answerAt(route, head);
  }

  #retrieve(
    head: RequestHead,
    route: Extract<Route<ProxySite>, { kind: "cache" }>,
    octets: Uint8Array | undefined,
  ): void {
    const { site, target, keyTarget, authority } = route;
    const hotKey = site.hotPrefix + keyTarget;
    const hot = hasDecidingFields(head) ? undefined : this.#context.hot.lookup("http", hotKey);
    if (hot !== undefined) {
      if (octets !== undefined) this.#settings.sites.memo.keep(octets, { head, keepsAlive: this.#keepAlive, hotKey });
      return this.#sendHot(hot);
    }
    if (mayPass(head) && this.#context.passes.has(hotKey)) {
      this.#record = this.#begin("bypass");
      return this.#passOn(head, { kind: "pass", site, target, authority, fromCache: true, ...WITHOUT_CONTENT }, hotKey);
    }
    this.#record = this.#begin();
    const wanted: WantedResponse = {
      wire: "http",
      acceptsLoan: true,
      method: head.method === "HEAD" ? "HEAD" : "GET",
      site: site.id,
      target,
      fieldSection: renderCacheFields(head),
    };
    this.#delivery = new Delivery(this.#context, this, wanted, { keyTarget, hotKey });
    this.#delivery.start();
  }

  /** @param leaveKey The target as the hot tier names it, where it passes because the cache has given leave for it. */
  #passOn(head: RequestHead, route: PassRoute & { site: ProxySite }, leaveKey?: string): void {
    this.#leaveKey = leaveKey;
    const peer = this.#peerOf(this.#settings.trusted);
    this.#delivery = undefined;
    this.#record ??= this.#begin();
    this.#ticks = 0;
    this.#windowBytes = 0;
    this.#context.counters.add("passes");
    this.#pass = new PassThrough(route.site.pass, this, { head, route });
    this.#pass.start(peer);
  }

  #peerOf(trusted: TrustedPeers): Peer {
    if (this.#peer === undefined || this.#peerTrust !== trusted) {
      const address = this.#client;
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
    const { counters, hot: tier, access, tracing } = this.#context;
    counters.add("hotHits");
    const record = access.beginSampledHot();
    if (record !== undefined || tracing?.isWanted(this.#request?.fields.get("traceparent")) === true) {
      this.#record = this.#traceHot(record ?? access.beginTracedHot());
    }
    const connection = this.connectionOption(true);
    let { ready } = hot;
    if (connection !== undefined || !tier.isReady(hot)) {
      const times = tier.times(hot);
      const headStart = renderHotHeadStart(hot.bodyBytes, times, connection);
      ready = readyWith(hot, headStart, connection === undefined ? times.untilMs : Number.NEGATIVE_INFINITY);
    }
    if (hot.loan !== undefined) return this.#sendLoan(hot, hot.loan, ready);
    const taken = this.#socket.write(ready);
    if (taken < 0) return;
    this.#sent(taken);
    if (taken === ready.length) return this.finish();
    this.#expectBody(hot.bodyBytes);
    this.#sendReady(new ReadyResponse(restOf(hot, ready, taken)));
  }

  #sendLoan(hot: HotResponse, loan: Loan, ready: Uint8Array): void {
    this.#expectBody(hot.bodyBytes);
    loan.retain();
    this.#ready = new ReadyResponse(restOf(hot, ready, 0), loan);
    this.#context.turns.ask(this);
  }

  turnCame(): void {
    if (this.#ready !== undefined) this.#sendReady(this.#ready);
  }

  #readyDrained(ready: ReadyResponse): void {
    const { turns } = this.#context;
    if (turns.keepsWaiting(this)) return;
    turns.gotOn(this);
    this.#sendReady(ready);
  }

  #expectBody(bodyBytes: number | undefined): void {
    this.#isBounded ||= boundSendBuffer(this.#socket, bodyBytes);
  }

  /** Sends what needs nobody's help, as fast as the client takes it. */
  #sendReady(ready: ReadyResponse): void {
    const outcome = ready.send(this.#write);
    if (outcome === "gone") return ready.drop();
    if (outcome === "waits") {
      this.#ready = ready;
      return this.#socket.timeout(SEND_TIMEOUT_S);
    }
    this.#ready = undefined;
    this.#context.turns.end(this);
    this.finish();
  }

  /** The response is out: the connection goes on with what has come meanwhile, or waits, or closes. */
  #next(): void {
    if (!this.#keepAlive) return this.#linger();
    this.#state = "idle";
    this.#socket.timeout(this.#settings.limits.idleTimeoutMs / 1000);
    this.goOn();
    if (this.#taking) return; // the loop that took this request takes the next
    const input = this.#input;
    this.#input = undefined;
    if (input !== undefined) this.#take(input, "owned");
    if (this.#state === "idle" && (this.#halfClosed || this.#stopping)) this.#socket.end();
  }

  #refuseMalformed(fault: Malformed): void {
    this.#context.counters.add("malformedRequests");
    this.#keepAlive = false;
    this.#answer({ status: fault.status, text: `Malformed request: ${fault.reason}` }, "malformed");
  }

  #answer(response: OwnResponse, verdict: "refused" | "malformed" = "refused"): void {
    this.#state = "answering";
    this.#record ??= this.#begin();
    this.#context.access.refused(this.#record, verdict, response.status);
    this.#delivery = undefined;
    const connection = this.connectionOption(response.status !== 408);
    const isHead = this.#request?.method === "HEAD";
    const nowMs = this.#settings.nowMs();
    this.out.text(renderOwnResponse(response, { isHead, connection, nowMs }));
    this.out.flush();
    if (!this.out.isHeldBack) return this.finish();
    this.#finishesWhenSent = true;
  }

  /** Read while the socket is open: a closed one has no address. */
  get #client(): string {
    this.#address ??= clientAddress(this.#socket);
    return this.#address;
  }

  #begin(verdict?: "bypass"): RequestRecord {
    this.#address ??= clientAddress(this.#socket);
    const record = this.#context.access.begin(verdict);
    if (this.#context.tracing !== undefined && this.#request !== undefined) this.#trace(record, this.#request.fields);
    return record;
  }

  /** Where the request is traced, the origin is told that asking it is part of the trace. */
  #trace(record: RequestRecord, fields: Fields): void {
    const traced = this.#context.tracing?.begin(fields.get("traceparent"), record.weight);
    if (traced === undefined) return;
    record.trace = traced.record;
    fields.set("traceparent", traced.forwarded);
  }

  #traceHot(record: RequestRecord): RequestRecord {
    const { tracing } = this.#context;
    const traced = tracing?.begin(this.#request?.fields.get("traceparent"), record.weight);
    if (traced !== undefined) record.trace = traced.record;
    return record;
  }

  #sent(bytes: number): void {
    this.#context.counters.add("sentBytes", bytes);
    if (this.#record !== undefined) this.#record.bytes += bytes;
  }

  /** The request is over, if there was one of which something is said. */
  #ended(aborted: boolean): void {
    const record = this.#record;
    if (record === undefined) return;
    this.#record = undefined;
    this.#context.access.end(record, aborted, this.#asked());
  }

  #asked(): Asked {
    const { scheme } = this.#settings;
    const client = this.#client;
    const request = this.#request;
    if (request === undefined) return { ...NOT_ASKED, client, isTls: scheme === "https" };
    const { method, target, minorVersion, fields } = request;
    return {
      method,
      target,
      host: fields.get("host") ?? "",
      client,
      referer: fields.get("referer") ?? "",
      userAgent: fields.get("user-agent") ?? "",
      wire: "http",
      minorVersion,
      isTls: scheme === "https",
    };
  }

  #finishOwn(): void {
    this.#finishesWhenSent = false;
    this.finish();
  }

  #linger(): void {
    this.#state = "lingering";
    this.#input = undefined;
    this.goOn();
    this.#socket.shutdown();
    this.#socket.timeout(LINGER_TIMEOUT_S);
    if (this.#halfClosed) this.#socket.end();
  }

  /** Content has to come at a rate, measured only while it is we who wait for it. */
  #tickContent(pass: PassThrough): void {
    const bytes = pass.takeContentBytes();
    if (bytes === undefined) {
      this.#ticks = 0;
      this.#windowBytes = 0;
      return;
    }
    this.#ticks++;
    this.#windowBytes += bytes;
    if (this.#ticks < CONTENT_RATE_WINDOW_TICKS) return;
    const isTooSlow = this.#windowBytes < this.#settings.limits.contentRateMin * CONTENT_RATE_WINDOW_S;
    this.#ticks = 0;
    this.#windowBytes = 0;
    if (isTooSlow) pass.tooSlow();
  }

  #tickTunnel(pass: PassThrough): void {
    this.#ticks = pass.takeMoved() ? 0 : this.#ticks + 1;
    if (this.#ticks * TICK_MS > this.#settings.limits.tunnelIdleMs) this.#socket.terminate();
  }
}

/** Of what could not be read as a request. */
const NOT_ASKED: Asked = {
  method: "",
  target: "",
  host: "",
  client: "",
  referer: "",
  userAgent: "",
  wire: "http",
  minorVersion: 1,
  isTls: false,
};

const WITHOUT_CONTENT = { framing: undefined, upgrade: undefined } as const;

/** Whether a request says more than which resource it wants: then the cache decides. */
function hasDecidingFields({ method, fields }: RequestHead): boolean {
  if (method !== "GET") return true;
  for (let index = 0; index < fields.length; index++) {
    const name = fields.lowerName(index);
    if (DECIDING.has(name)) return true;
  }
  return false;
}

/** Whether the cache, where nothing is stored, would ask the origin for just this. */
function mayPass({ method, fields }: RequestHead): boolean {
  return method === "GET" && !fields.has("cache-control") && !fields.has("pragma");
}

const DECIDING = new Set([
  ...["cache-control", "pragma", "range", "authorization"],
  ...["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"],
]);

const REASON_TEXT: Record<RefusalReason, string> = {
  "not-found": "The origin has no such resource",
  "origin-error": "The origin could not be reached, or its response could not be used",
  refused: "The request was refused",
  "length-unknown": "The response has no length",
  cancelled: "The request was cancelled",
  "cut-short": "The origin's response ended before its end",
  "origin-timeout": "The origin did not answer in time",
  overloaded: "Too busy at the moment",
  pending: "Too busy at the moment",
  "not-stored": "Nothing that is stored answers it, and the request forbids to ask the origin",
  unvalidated: "What is stored must not be used without the origin, which can not be reached",
  "origin-refused": "The origin could not be reached",
  "origin-unknown": "The origin could not be reached",
  "origin-tls": "No TLS session with the origin",
  "origin-malformed": "The origin's response can not be read",
  "request-too-large": "The request's target and fields do not fit into a segment",
  "cache-away": "The cache is away",
};
