import type { Socket } from "bun";
import type { Address } from "../support/address.ts";
import { BodyCheck, sizeOf } from "./content.ts";

/**
 * What became of one request. `whole`: right to the last byte. `refused`: an answer that says why not (5xx, ERROR). `broken`: the connection ended before the response did, and
 * the client can tell; `closed`: before its first byte. `left`: we did. The others must not be: `hang`: nothing came for long. `wrong`: what came is not what the origin had.
 */
export type Outcome =
  | { kind: "whole" | "refused" | "broken" | "closed" | "left" }
  | { kind: "hang" | "wrong"; what: string };

export interface Ask {
  wire: "http" | "getfile";
  path: string;
  range?: { start: number; end: number };
  keepAlive?: boolean;
  /** Leaves when so many bytes of body are there. */
  leaveAfterBytes?: number;
  /** Does not read for so long when the body has begun. */
  pauseMs?: number;
}

/** Nothing in the product takes so long without a byte: the longest is a cache that never answers, 15 s. */
const HANG_MS = 40_000;

type Waiting = { check: Reader; done: (outcome: Outcome) => void };

/** One connection: request after request, each response compared as it comes. */
export class Conversation {
  #socket: Socket | undefined;
  #waiting: Waiting | undefined;
  #isClosed = false;
  #timer: Timer | undefined;

  get isOpen(): boolean {
    return !this.#isClosed;
  }

  async open(address: Address): Promise<boolean> {
    try {
      this.#socket = await Bun.connect({
        hostname: address.host,
        port: address.port,
        socket: {
          data: (_, chunk) => this.#take(chunk),
          end: () => this.#closed(),
          close: () => this.#closed(),
          error: () => this.#closed(),
          connectError: () => this.#closed(),
        },
      });
      return !this.#isClosed;
    } catch {
      this.#isClosed = true;
      return false;
    }
  }

  ask(ask: Ask): Promise<Outcome> {
    if (this.#isClosed) return Promise.resolve({ kind: "closed" });
    return new Promise((resolve) => {
      const done = (outcome: Outcome) => {
        clearTimeout(this.#timer);
        this.#waiting = undefined;
        if (outcome.kind !== "whole" && outcome.kind !== "refused") this.close();
        resolve(outcome);
      };
      this.#waiting = { check: new Reader(ask), done };
      this.#watch();
      this.#socket!.write(renderAsk(ask));
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.terminate();
  }

  #take(chunk: Uint8Array): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return; // behind a response that is over: the connection is not used again
    this.#watch();
    const { check } = waiting;
    const outcome = check.take(chunk);
    if (outcome !== undefined) return waiting.done(outcome);
    const { leaveAfterBytes, pauseMs } = check.ask;
    if (leaveAfterBytes !== undefined && check.bodyBytes >= leaveAfterBytes) return waiting.done({ kind: "left" });
    if (pauseMs !== undefined && check.bodyBytes > 0 && !check.hasPaused) {
      check.hasPaused = true;
      this.#socket!.pause();
      setTimeout(() => this.#socket?.resume(), pauseMs);
    }
  }

  #closed(): void {
    this.#isClosed = true;
    const waiting = this.#waiting;
    waiting?.done({ kind: waiting.check.hasBegun ? "broken" : "closed" });
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { ask, bodyBytes } = this.#waiting!.check;
      const what = `${JSON.stringify(ask)}: nothing came for ${HANG_MS} ms behind ${bodyBytes} bytes of body`;
      this.#waiting?.done({ kind: "hang", what });
    }, HANG_MS);
  }
}

function renderAsk({ wire, path, range, keepAlive }: Ask): string {
  if (wire === "getfile") return `GETFILE GET ${path}\r\n\r\n`;
  const ranges = range === undefined ? "" : `Range: bytes=${range.start}-${range.end}\r\n`;
  return `GET ${path} HTTP/1.1\r\nHost: chaos\r\n${ranges}${keepAlive === true ? "" : "Connection: close\r\n"}\r\n`;
}

const EMPTY = Buffer.alloc(0);

/** Reads one response and compares it. */
class Reader {
  readonly ask: Ask;
  bodyBytes = 0;
  hasPaused = false;
  #head = EMPTY;
  #body: BodyCheck | undefined;
  /** Bytes of body, or of the present chunk, that have to come; undefined while a chunk's size is read. */
  #left: number | undefined;
  #isChunked = false;
  #line = "";
  #expected = 0;
  #isRefusal = false;

  constructor(ask: Ask) {
    this.ask = ask;
  }

  get hasBegun(): boolean {
    return this.#head.length > 0;
  }

  /** What it came to; undefined while it is not over. */
  take(chunk: Uint8Array): Outcome | undefined {
    if (this.#body !== undefined) return this.#takeBody(chunk);
    this.#head = Buffer.concat([this.#head, chunk]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return this.#head.length > 65_536 ? this.#wrong("a head without end") : undefined;
    const head = this.#head.toString("latin1", 0, end + 4);
    const rest = this.#head.subarray(end + 4);
    return (this.ask.wire === "getfile" ? this.#readGetfile(head) : this.#readHttp(head)) ?? this.#takeBody(rest);
  }

  #readGetfile(head: string): Outcome | undefined {
    const size = sizeOf(this.ask.path);
    if (/^GETFILE ERROR ?\r\n\r\n$/.test(head)) return { kind: "refused" };
    if (Number(/^GETFILE OK (\d+) ?\r\n\r\n$/.exec(head)?.[1] ?? -1) !== size) return this.#wrong(head);
    this.#begin(0, size, undefined);
    return undefined;
  }

  #readHttp(head: string): Outcome | undefined {
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    const length = fieldOf(head, "content-length");
    this.#isChunked = fieldOf(head, "transfer-encoding")?.toLowerCase() === "chunked";
    if (status >= 500) {
      this.#isRefusal = true;
      if (length === undefined) return { kind: "refused" };
      this.#begin(0, Number(length), undefined);
      return undefined;
    }
    const version = Number(/^"(\d+)"$/.exec(fieldOf(head, "etag") ?? "")?.[1] ?? -1);
    const size = sizeOf(this.ask.path);
    const range = status === 206 ? rangeOf(head, size) : { start: 0, end: size - 1 };
    if (version < 0 || range === undefined || (status !== 200 && status !== 206)) return this.#wrong(head);
    if (status === 206 && (range.start !== this.ask.range?.start || range.end !== this.ask.range.end))
      return this.#wrong(head);
    const bytes = range.end - range.start + 1;
    if (!this.#isChunked && Number(length) !== bytes) return this.#wrong(head);
    this.#begin(range.start, bytes, version);
    return undefined;
  }

  #begin(from: number, bytes: number, version: number | undefined): void {
    this.#body = new BodyCheck(this.ask.path, from, version);
    this.#expected = bytes;
    this.#left = this.#isChunked ? undefined : bytes;
  }

  #takeBody(chunk: Uint8Array): Outcome | undefined {
    let at = 0;
    for (;;) {
      if (this.#left === undefined) {
        const taken = this.#takeSizeLine(chunk, at);
        if (typeof taken === "object") return taken;
        at += taken;
        if (this.#left === undefined) return undefined;
      }
      const part = chunk.subarray(at, at + this.#left);
      if (!this.#isRefusal && !this.#body!.take(part))
        return this.#wrong(`bytes ${this.bodyBytes} to ${this.bodyBytes + part.length} of the body`);
      this.bodyBytes += part.length;
      at += part.length;
      this.#left -= part.length;
      if (this.#left > 0) return undefined;
      if (!this.#isChunked)
        return at === chunk.length ? this.#whole() : this.#wrong(`${chunk.length - at} bytes behind the body`);
      this.#left = undefined;
      this.#line = "\n";
    }
  }

  /** Bytes taken of a chunk's size line, or what the last one came to. `#line` holds "\n" first when the end of the chunk before has to come. */
  #takeSizeLine(chunk: Uint8Array, from: number): number | Outcome {
    for (let at = from; at < chunk.length; at++) {
      this.#line += String.fromCharCode(chunk[at]!);
      if (/^(?:\n\r\n)?0+\r\n\r\n$/.test(this.#line)) {
        return at + 1 === chunk.length ? this.#whole() : this.#wrong("bytes behind the last chunk");
      }
      const size = Number.parseInt(/^(?:\n\r\n)?([0-9a-fA-F]+)\r\n$/.exec(this.#line)?.[1] ?? "0", 16);
      if (size === 0) {
        if (this.#line.length > 40) return this.#wrong(`the size line ${JSON.stringify(this.#line)}`);
        continue;
      }
      this.#line = "";
      this.#left = size;
      return at + 1 - from;
    }
    return chunk.length - from;
  }

  #whole(): Outcome {
    if (this.#isRefusal) return { kind: "refused" };
    return this.bodyBytes === this.#expected
      ? { kind: "whole" }
      : this.#wrong(`${this.bodyBytes} bytes, not ${this.#expected}, said to be all`);
  }

  #wrong(what: string): Outcome {
    return { kind: "wrong", what: `${JSON.stringify(this.ask)}: ${what}` };
  }
}

function fieldOf(head: string, name: string): string | undefined {
  return new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*\\r$`, "im").exec(head)?.[1];
}

function rangeOf(head: string, size: number): { start: number; end: number } | undefined {
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(fieldOf(head, "content-range") ?? "");
  if (range === null || Number(range[3]) !== size) return undefined;
  return { start: Number(range[1]), end: Number(range[2]) };
}
