import {
  checkHost,
  endToEndFields,
  formatHttpDate,
  HeadScanner,
  keepsAlive,
  LAST_CHUNK,
  type Malformed,
  type PortionAnswer,
  parseRequestHead,
  parseTarget,
  type RequestHead,
  type ResponseAnswer,
  reasonPhrase,
  renderChunkHead,
  requestFraming,
} from "@proj/protocol";
import { Delivery, type DeliveryContext } from "../delivery.ts";
import { type HotResponse, readyWith, restOf } from "../hot-tier.ts";
import { HEAD_TIMEOUT_MS, IDLE_TIMEOUT_S, LINGER_TIMEOUT_S, PIPELINE_BYTES_MAX, SEND_TIMEOUT_S } from "../limits.ts";
import { ReadyResponse } from "../ready-response.ts";
import { outgoingFraming, renderHeadStart, renderHotHeadStart } from "../response-head.ts";
import type { RefusalReason, ResponseSink } from "../response-sink.ts";
import type { ClientSocket, Connection } from "./connection.ts";

export interface HttpSettings {
  /** Path of the origin's URL, without a closing slash. */
  readonly prefix: string;
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
  "request-too-large": 431,
};
/** Fields that are not the client's to pass on: Host is the origin's, and a length without a body is nobody's. */
const NOT_FORWARDED = new Set(["host", "content-length", "expect"]);
/** A dot segment, plain or percent-encoded: under a prefix it could lead out of it. */
const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\?]|%2f|%5c|$)/i;
const CRLF = "\r\n";

/** One HTTP/1.1 connection: its requests are answered one after another, in order. */
export class HttpConnection implements Connection, ResponseSink {
  framesBody = false;
  readonly #socket: ClientSocket;
  readonly #context: DeliveryContext;
  readonly #settings: HttpSettings;
  readonly #scanner = new HeadScanner();
  /** Bytes received and not yet taken; a head may start anywhere in them. */
  #input: Uint8Array | undefined;
  #taking = false;
  #paused = false;
  #state: "idle" | "answering" | "lingering" | "closed" = "idle";
  #headStartedMs: number | undefined;
  #request: { method: string; minorVersion: 0 | 1 } = { method: "GET", minorVersion: 1 };
  #keepAlive = true;
  #delivery: Delivery | undefined;
  #head = "";
  #headBytesLeft = 0;
  #ready: ReadyResponse | undefined;
  readonly #write = (bytes: Uint8Array): number => {
    const taken = this.#socket.write(bytes);
    if (taken > 0) this.#context.counters.add("sentBytes", taken);
    return taken;
  };
  #halfClosed = false;
  #stopping = false;

  constructor(socket: ClientSocket, context: DeliveryContext, settings: HttpSettings) {
    this.#socket = socket;
    this.#context = context;
    this.#settings = settings;
    socket.timeout(IDLE_TIMEOUT_S);
  }

  received(chunk: Uint8Array): void {
    if (this.#state === "lingering" || this.#state === "closed") return;
    const kept = this.#input;
    this.#input = undefined;
    if (kept === undefined) this.#take(chunk, "borrowed");
    else this.#take(Buffer.concat([kept, chunk]), "owned");
  }

  drained(): void {
    this.#socket.timeout(SEND_TIMEOUT_S);
    if (this.#ready !== undefined) return this.#sendReady(this.#ready);
    this.#delivery?.drained();
  }

  halfClosed(): void {
    this.#halfClosed = true;
    if (this.#state !== "answering") this.#socket.end();
  }

  closed(): void {
    this.#state = "closed";
    this.#ready?.drop();
    this.#delivery?.clientLeft();
  }

  timedOut(): void {
    if (this.#state === "answering") {
      // Only a client that takes nothing is timed out; one that waits for the origin is not.
      if (this.#ready !== undefined || this.#delivery?.stalled) this.#socket.terminate();
    } else if (this.#state === "idle" && this.#headStartedMs !== undefined) {
      this.#answer(408, "The request head was not complete in time");
    } else {
      this.#socket.end();
    }
  }

  stopping(): void {
    this.#stopping = true;
    if (this.#state === "idle" || this.#state === "lingering") this.#socket.end();
  }

  begin(response: ResponseAnswer, portion: PortionAnswer): boolean {
    const framing = outgoingFraming(this.#request, response.status, portion.bodyBytes);
    this.#keepAlive &&= framing.kind !== "until-close" && !this.#stopping && !this.#halfClosed;
    this.framesBody = framing.kind === "chunked";
    this.#head = renderHeadStart(response, framing, this.#connectionOption());
    this.#headBytesLeft = response.headBytes;
    return true;
  }

  frame(segment: Uint8Array, portion: PortionAnswer): { start: number; end: number } {
    const { payloadOffset, bytes, last } = portion;
    const isHead = this.#headBytesLeft > 0;
    this.#headBytesLeft = Math.max(0, this.#headBytesLeft - bytes);
    const isChunk = this.framesBody && !isHead && bytes > 0;
    const before = isChunk ? this.#head + renderChunkHead(bytes) : this.#head;
    const after = (isChunk ? CRLF : "") + (this.framesBody && last ? LAST_CHUNK : "");
    this.#head = "";
    const start = payloadOffset - before.length;
    if (before === "" && after === "") return { start, end: payloadOffset + bytes };
    const room = Buffer.from(segment.buffer, segment.byteOffset, segment.byteLength);
    room.write(before, start, "latin1");
    room.write(after, payloadOffset + bytes, "latin1");
    return { start, end: payloadOffset + bytes + after.length };
  }

  write(bytes: Uint8Array): number {
    const taken = this.#socket.write(bytes);
    if (taken < bytes.length) this.#socket.timeout(SEND_TIMEOUT_S);
    return taken;
  }

  refuse(reason: RefusalReason): void {
    this.#answer(STATUS_OF[reason], REASON_TEXT[reason]);
  }

  finish(): void {
    this.#context.counters.add("httpRequests");
    this.#delivery = undefined;
    this.#next();
  }

  abort(): void {
    this.#context.counters.add("httpRequests");
    this.#socket.terminate();
  }

  /**
   * Takes requests off `bytes` until one has to be waited for; keeps the rest.
   *
   * @param ownership "borrowed": the memory is the socket's, what is kept of it is copied.
   */
  #take(bytes: Uint8Array, ownership: "borrowed" | "owned"): void {
    let start = 0;
    this.#taking = true;
    while (this.#state === "idle" && start < bytes.length) {
      const end = this.#scanner.scan(bytes, start, bytes.length);
      if (end === undefined) {
        this.#waitForHead();
        break;
      }
      const head = typeof end === "object" ? end : parseRequestHead(bytes, start, end);
      this.#headStartedMs = undefined;
      this.#state = "answering";
      if (head.kind === "malformed") this.#refuseMalformed(head);
      else this.#handle(head);
      if (typeof end === "number") start = end;
    }
    this.#taking = false;
    if (this.#isOver || start === bytes.length) return;
    const rest = bytes.subarray(start);
    this.#input = ownership === "owned" ? rest : Uint8Array.from(rest);
    if (this.#state === "answering") this.#holdBack();
  }

  get #isOver(): boolean {
    return this.#state === "lingering" || this.#state === "closed";
  }

  /** A head that is sent a byte at a time has as long as any other. */
  #waitForHead(): void {
    const nowMs = this.#context.now();
    if (this.#headStartedMs === undefined) {
      this.#headStartedMs = nowMs;
      this.#socket.timeout(HEAD_TIMEOUT_MS / 1000);
    } else if (nowMs - this.#headStartedMs > HEAD_TIMEOUT_MS) {
      this.timedOut();
    }
  }

  #handle(head: RequestHead): void {
    this.#request = { method: head.method, minorVersion: head.minorVersion };
    this.#keepAlive = keepsAlive(head);
    const host = checkHost(head);
    if (typeof host === "object") return this.#refuseMalformed(host);
    const framing = requestFraming(head);
    if (framing.kind === "malformed") return this.#refuseMalformed(framing);
    // A body that nobody reads must not be taken for the next request.
    if (framing.kind !== "none" && !(framing.kind === "length" && framing.bytes === 0)) this.#keepAlive = false;
    if (head.method !== "GET" && head.method !== "HEAD") return this.#answer(501, `${head.method} is not served here`);
    const expectation = head.fields.get("expect");
    if (expectation !== undefined && expectation.toLowerCase() !== "100-continue") {
      return this.#answer(417, "The only expectation that can be met is 100-continue");
    }
    const target = parseTarget(head.method, head.target);
    if ("kind" in target) return this.#refuseMalformed(target);
    if (target.form !== "origin" && target.form !== "absolute") return this.#answer(400, "No such target");
    if (this.#settings.prefix !== "" && DOT_SEGMENT.test(target.path)) {
      return this.#answer(400, "The path holds a dot segment");
    }
    const forwarded = this.#settings.prefix + target.path;
    const hot = hasDecidingFields(head) ? undefined : this.#context.hot.lookup("http", forwarded);
    if (hot !== undefined) return this.#sendHot(hot);
    this.#delivery = new Delivery(this.#context, this, {
      wire: "http",
      acceptsLoan: true,
      method: head.method,
      target: forwarded,
      fieldSection: endToEndFields(head.fields)
        .filter((lowerName) => !NOT_FORWARDED.has(lowerName))
        .render(),
    });
    this.#delivery.start();
  }

  #sendHot(hot: HotResponse): void {
    const { counters, hot: tier } = this.#context;
    counters.add("hotHits");
    const connection = this.#keepAlive && !this.#stopping ? this.#connectionOption() : "close";
    if (connection === "close") this.#keepAlive = false;
    const times = tier.times(hot);
    let { ready } = hot;
    if (connection !== undefined || hot.readyAgeSeconds !== times.ageSeconds) {
      const headStart = renderHotHeadStart(hot.bodyBytes, times, connection);
      ready = readyWith(hot, headStart, connection === undefined ? times.ageSeconds : -1);
    }
    const taken = this.#socket.write(ready);
    if (taken < 0) return;
    counters.add("sentBytes", taken);
    if (taken === ready.length && hot.loan === undefined) return this.finish();
    hot.loan?.retain();
    this.#sendReady(new ReadyResponse(restOf(hot, ready, taken), hot.loan));
  }

  /** The response is out: the connection goes on with what has come meanwhile, or waits, or closes. */
  #next(): void {
    if (!this.#keepAlive) return this.#linger();
    this.#state = "idle";
    this.#socket.timeout(IDLE_TIMEOUT_S);
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    if (this.#taking) return; // the loop that took this request takes the next
    const input = this.#input;
    this.#input = undefined;
    if (input !== undefined) this.#take(input, "owned");
    if (this.#state === "idle" && (this.#halfClosed || this.#stopping)) this.#socket.end();
  }

  /** Requests that pile up behind the one being answered stay with the kernel. */
  #holdBack(): void {
    if (this.#paused || (this.#input?.length ?? 0) < PIPELINE_BYTES_MAX) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #refuseMalformed(fault: Malformed): void {
    this.#context.counters.add("malformedRequests");
    this.#keepAlive = false;
    this.#answer(fault.status, `Malformed request: ${fault.reason}`);
  }

  /** A response of our own. */
  #answer(status: number, text: string): void {
    if (status === 408 || this.#stopping) this.#keepAlive = false;
    this.#state = "answering";
    this.#delivery = undefined;
    const connection = this.#connectionOption();
    const body = `${text}\n`;
    const retry = status === 503 ? "Retry-After: 1\r\n" : "";
    const option = connection === undefined ? "" : `Connection: ${connection}\r\n`;
    const head =
      `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nDate: ${formatHttpDate(Date.now())}\r\n` +
      `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n${retry}${option}` +
      "Via: 1.1 webproxy\r\nCache-Status: webproxy\r\n\r\n";
    this.#sendReady(new ReadyResponse(Buffer.from(this.#request.method === "HEAD" ? head : head + body, "latin1")));
  }

  /** Sends what needs nobody's help, as fast as the client takes it. */
  #sendReady(ready: ReadyResponse): void {
    const outcome = ready.send(this.#write);
    if (outcome === "gone") return ready.drop();
    this.#ready = outcome === "waits" ? ready : undefined;
    if (outcome === "sent") this.finish();
    else this.#socket.timeout(SEND_TIMEOUT_S);
  }

  #connectionOption(): "keep-alive" | "close" | undefined {
    if (!this.#keepAlive) return "close";
    return this.#request.minorVersion === 0 ? "keep-alive" : undefined;
  }

  #linger(): void {
    this.#state = "lingering";
    this.#input = undefined;
    this.#socket.shutdown();
    this.#socket.timeout(LINGER_TIMEOUT_S);
    if (this.#halfClosed) this.#socket.end();
  }
}

/** Whether a request says more than which resource it wants: then the cache decides. */
function hasDecidingFields({ method, fields }: RequestHead): boolean {
  if (method !== "GET") return true;
  for (let index = 0; index < fields.length; index++) {
    const name = fields.lowerName(index);
    if (DECIDING.has(name)) return true;
  }
  return false;
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
  "request-too-large": "The request's target and fields do not fit into a segment",
};
