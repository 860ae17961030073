import type { Socket } from "bun";

/** What the origin does for one path. */
export interface Resource {
  body?: Uint8Array;
  status?: number;
  /** Sent as they are, besides the framing. */
  headers?: Record<string, string>;
  /** Content-Length, chunks, or neither: the body then ends with the connection. Default "length". */
  framing?: "length" | "chunked" | "close";
  /** Before the head is sent. */
  until?: Promise<unknown>;
  /** So many bytes of body, then this wait, again and again. */
  pace?: { bytes: number; everyMs: number };
  /** Closes the connection when so many bytes of body have gone out; -1: before the head. */
  dieAfterBytes?: number;
  /** Stops, with the connection open, when so many bytes of body have gone out, until the promise settles. */
  pauseAfterBytes?: { bytes: number; until: Promise<unknown> };
}

export interface SeenRequest {
  method: string;
  target: string;
  head: string;
}

const PIECE_BYTES = 256 * 1024;

/** An HTTP origin that counts what reaches it, and that can be slow, odd, or dead. */
export class CountingOrigin implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #resources = new Map<string, Resource | (() => Resource)>();
  readonly #server: Bun.TCPSocketListener<OriginConnection>;

  private constructor(port: number) {
    this.#server = Bun.listen<OriginConnection>({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          socket.data = new OriginConnection(socket, (request) => this.#answer(request));
        },
        data: (socket, chunk) => socket.data.received(chunk),
        drain: (socket) => socket.data.drained(),
        close: (socket) => socket.data.closed(),
        error: (socket) => socket.data.closed(),
      },
    });
  }

  static start(resources: Record<string, Resource | (() => Resource)> = {}, port = 0): CountingOrigin {
    const origin = new CountingOrigin(port);
    for (const [path, resource] of Object.entries(resources)) origin.set(path, resource);
    return origin;
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  set(path: string, resource: Resource | (() => Resource)): void {
    this.#resources.set(path, resource);
  }

  /** How many requests for the target have come. */
  count(target: string): number {
    return this.requests.filter((request) => request.target === target).length;
  }

  /** Closes every connection and listens no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.stop(true);
  }

  #answer(request: SeenRequest): Resource {
    this.requests.push(request);
    const resource = this.#resources.get(request.target);
    if (resource === undefined) return { status: 404, body: Buffer.from("not here\n") };
    const answer = typeof resource === "function" ? resource() : resource;
    const { ETag: etag } = answer.headers ?? {};
    const wanted = /^if-none-match:[ \t]*(.*?)\r$/im.exec(request.head)?.[1];
    return etag !== undefined && wanted === etag ? { status: 304, headers: answer.headers ?? {} } : answer;
  }
}

class OriginConnection {
  readonly #socket: Socket<OriginConnection>;
  readonly #answer: (request: SeenRequest) => Resource;
  #received = "";
  #isAnswering = false;
  #isClosed = false;
  #drained = Promise.withResolvers<void>();

  constructor(socket: Socket<OriginConnection>, answer: (request: SeenRequest) => Resource) {
    this.#socket = socket;
    this.#answer = answer;
  }

  received(chunk: Uint8Array): void {
    this.#received += Buffer.from(chunk).toString("latin1");
    if (!this.#isAnswering) void this.#next();
  }

  drained(): void {
    this.#drained.resolve();
  }

  closed(): void {
    this.#isClosed = true;
    this.#drained.resolve();
  }

  async #next(): Promise<void> {
    this.#isAnswering = true;
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0 || this.#isClosed) break;
      const head = this.#received.slice(0, end + 4);
      this.#received = this.#received.slice(end + 4);
      const [method = "", target = ""] = head.split(" ", 2);
      await this.#respond(method, this.#answer({ method, target, head }));
    }
    this.#isAnswering = false;
  }

  async #respond(method: string, resource: Resource): Promise<void> {
    const { status = 200, body = Buffer.alloc(0), headers = {}, framing = "length" } = resource;
    await resource.until;
    if (resource.dieAfterBytes === -1) return void this.#socket.terminate();
    const framed = {
      length: { "Content-Length": String(body.length) },
      chunked: { "Transfer-Encoding": "chunked" },
      close: { Connection: "close" },
    }[framing];
    const hasBody = method !== "HEAD" && status !== 304 && status !== 204;
    const fields = { Date: new Date().toUTCString(), ...(status === 304 ? {} : framed), ...headers };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    await this.#write(Buffer.from(`HTTP/1.1 ${status} Said\r\n${lines.join("")}\r\n`, "latin1"));
    if (!hasBody) return;
    for (let sent = 0; sent < body.length && !this.#isClosed; ) {
      const { pauseAfterBytes, dieAfterBytes, pace } = resource;
      const stops = [body.length, sent + (pace?.bytes ?? PIECE_BYTES)];
      if (pauseAfterBytes !== undefined && sent < pauseAfterBytes.bytes) stops.push(pauseAfterBytes.bytes);
      if (dieAfterBytes !== undefined) stops.push(dieAfterBytes);
      const end = Math.min(...stops);
      const piece = body.subarray(sent, end);
      if (framing === "chunked" && piece.length > 0)
        await this.#write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]));
      else await this.#write(piece);
      sent = end;
      if (sent === dieAfterBytes) return void this.#socket.end();
      if (sent === pauseAfterBytes?.bytes) await pauseAfterBytes.until;
      if (pace !== undefined) await Bun.sleep(pace.everyMs);
    }
    if (framing === "chunked") await this.#write(Buffer.from("0\r\n\r\n"));
    if (framing === "close") this.#socket.end();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length && !this.#isClosed; ) {
      this.#drained = Promise.withResolvers<void>();
      const taken = this.#socket.write(bytes.subarray(written));
      if (taken < 0) return;
      written += taken;
      if (written < bytes.length) await this.#drained.promise;
    }
  }
}
