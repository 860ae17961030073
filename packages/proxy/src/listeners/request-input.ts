import { HeadScanner, type Malformed, parseRequestHead, type RequestHead } from "@proj/protocol";
import { PIPELINE_BYTES_MAX } from "../limits.ts";
import type { ClientSocket } from "./connection.ts";
import type { HttpSettings } from "./http-settings.ts";

/** Whose requests come in: the client's connection. */
export interface RequestInputOwner {
  /** What the next octets are. `nothing`: there is no more to be taken from this client. */
  readonly expects: "head" | "content" | "nothing";
  /**
   * A head has come, or what can be none; what comes next is not a head until {@link expects} says so.
   *
   * @param octets The head, when nothing came with it.
   */
  tookHead(head: RequestHead | Malformed, octets: Uint8Array | undefined): void;
  /** Takes what belongs to the request that is answered of `bytes`, from `start` on; returns how many octets. */
  takeContent(bytes: Uint8Array, start: number): number;
  /** A head that is sent a little at a time has had as long as any other. */
  timedOut(): void;
}

/** What one client has sent, in the order of its requests: heads, and the content of one that passes, until a response has to be waited for; the rest is kept. */
export class RequestInput {
  readonly #socket: ClientSocket;
  readonly #settings: HttpSettings;
  readonly #now: () => number;
  readonly #owner: RequestInputOwner;
  readonly #scanner: HeadScanner;
  /** Bytes received and not yet taken; a head may start anywhere in them. */
  #rest: Uint8Array | undefined;
  #taking = false;
  #paused = false;
  #headStartedMs: number | undefined;

  constructor(socket: ClientSocket, settings: HttpSettings, now: () => number, owner: RequestInputOwner) {
    this.#socket = socket;
    this.#settings = settings;
    this.#now = now;
    this.#owner = owner;
    this.#scanner = new HeadScanner(settings.limits.head);
  }

  /** Whether there are octets that nobody has taken yet. */
  get hasRest(): boolean {
    return this.#rest !== undefined;
  }

  /** Whether a request is being taken: who would take the next one leaves that to the loop that took this one. */
  get isTaking(): boolean {
    return this.#taking;
  }

  /** Whether a head has begun to come, and is not whole. */
  get isWithinHead(): boolean {
    return this.#headStartedMs !== undefined;
  }

  /** @param chunk The socket's memory: what is kept of it is copied. */
  received(chunk: Uint8Array): void {
    const kept = this.#rest;
    if (kept === undefined) return this.#take(chunk, "borrowed");
    this.#rest = undefined;
    this.#take(Buffer.concat([kept, chunk]), "owned");
  }

  /** Goes on with what has been kept, if anything has. */
  takeRest(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) this.#take(rest, "owned");
  }

  /** Nobody will take what has been kept. */
  drop(): void {
    this.#rest = undefined;
  }

  /** Stops reading: what the client sends stays with the kernel. */
  holdBack(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  goOn(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  #take(bytes: Uint8Array, ownership: "borrowed" | "owned"): void {
    const owner = this.#owner;
    let start = 0;
    this.#taking = true;
    while (start < bytes.length) {
      const taken = owner.expects === "head" ? this.#takeHead(bytes, start) : owner.takeContent(bytes, start);
      if (taken === 0) break;
      start += taken;
    }
    this.#taking = false;
    if (start === bytes.length || owner.expects === "nothing") return;
    const rest = bytes.subarray(start);
    this.#rest = ownership === "owned" ? rest : new Uint8Array(rest);
    if (owner.expects === "content" && rest.length >= PIPELINE_BYTES_MAX) this.holdBack();
  }

  /** Octets taken: those of one head, or none while it is not whole. */
  #takeHead(bytes: Uint8Array, start: number): number {
    const end = this.#scanner.scan(bytes, start, bytes.length);
    if (end === undefined) {
      if (!isEmptyLine(bytes, start)) this.#waitForHead();
      return 0;
    }
    this.#headStartedMs = undefined;
    if (typeof end === "object") {
      this.#owner.tookHead(end, undefined);
      return 0;
    }
    const head = parseRequestHead(bytes, start, end, this.#settings.limits.head);
    this.#owner.tookHead(head, start === 0 && end === bytes.length ? bytes : undefined);
    return end - start;
  }

  /** A head that is sent a byte at a time has as long as any other. */
  #waitForHead(): void {
    const nowMs = this.#now();
    const { headTimeoutMs } = this.#settings.limits;
    if (this.#headStartedMs === undefined) {
      this.#headStartedMs = nowMs;
      this.#socket.timeout(headTimeoutMs / 1000);
    } else if (nowMs - this.#headStartedMs > headTimeoutMs) {
      this.#owner.timedOut();
    }
  }
}

/** RFC 9112 section 2.2: what a client that appends a line to its content sends; no head has begun with it. */
function isEmptyLine(bytes: Uint8Array, start: number): boolean {
  return bytes[start] === 0x0d && bytes.length - start <= 2;
}
