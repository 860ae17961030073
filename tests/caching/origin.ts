import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the origin sees it. */
export interface SeenRequest {
  method: string;
  /** As it stood in the request line. */
  target: string;
  /** By lower-case name. */
  headers: IncomingHttpHeaders;
}

export interface OriginAnswer {
  status?: number;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
  /** Waits before the head goes out. */
  until?: Promise<unknown>;
  /** After so many bytes of body, waits. */
  pause?: { afterBytes: number; until: Promise<unknown> };
  /** Closes the connection instead of answering. */
  dies?: boolean;
}

/** An origin that decides by the whole request, and remembers what it has seen. */
export class DecidingOrigin implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #server: Server;
  answer: (request: SeenRequest) => OriginAnswer;

  private constructor(answer: (request: SeenRequest) => OriginAnswer) {
    this.answer = answer;
    this.#server = createServer(async (incoming, outgoing) => {
      const request = { method: incoming.method ?? "", target: incoming.url ?? "", headers: incoming.headers };
      incoming.resume();
      this.requests.push(request);
      const { status = 200, headers = {}, body = "", until, pause, dies = false } = this.answer(request);
      await until;
      if (dies) return incoming.socket.destroy();
      const bytes = Buffer.from(body);
      const isBodiless = request.method === "HEAD" || status === 204 || status === 304;
      const length = status === 204 || status === 304 ? {} : { "Content-Length": String(bytes.length) };
      outgoing.writeHead(status, { ...length, ...headers });
      if (isBodiless) return outgoing.end();
      if (pause !== undefined) {
        outgoing.write(bytes.subarray(0, pause.afterBytes));
        await pause.until;
        return outgoing.end(bytes.subarray(pause.afterBytes));
      }
      return outgoing.end(bytes);
    });
  }

  static async start(answer: (request: SeenRequest) => OriginAnswer): Promise<DecidingOrigin> {
    const origin = new DecidingOrigin(answer);
    const { promise, resolve } = Promise.withResolvers<void>();
    origin.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    return origin;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many requests for a target have come. */
  count(target: string): number {
    return this.requests.filter((request) => request.target === target).length;
  }

  last(target: string): SeenRequest | undefined {
    return this.requests.findLast((request) => request.target === target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
