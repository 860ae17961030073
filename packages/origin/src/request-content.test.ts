import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Fields, type ResponseHead } from "@proj/protocol";
import { scriptedOrigin } from "../test/scripted-origin.ts";
import { OriginClient } from "./client.ts";
import type { OriginError } from "./errors.ts";
import type { OriginExchange } from "./exchange.ts";
import { RequestContent } from "./request-content.ts";

const CHUNKED: [string, string] = ["Transfer-Encoding", "chunked"];
const MIB = 2 ** 20;

interface Answer {
  head: ResponseHead | undefined;
  content: string;
  error: OriginError | undefined;
  drains: number;
}

/** Sends `chunks` as fast as the client takes them, ends the content, and waits for the answer. */
function upload(
  client: OriginClient,
  lines: [string, string][],
  chunks: Iterable<Uint8Array>,
  options: { method?: string; trailers?: Fields; onExchange?: (exchange: OriginExchange) => void } = {},
): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const answer: Answer = { head: undefined, content: "", error: undefined, drains: 0 };
  const rest = chunks[Symbol.iterator]();
  const pump = () => {
    for (let next = rest.next(); ; next = rest.next()) {
      if (next.done === true) return exchange.endContent(options.trailers);
      if (!exchange.write(next.value)) return;
    }
  };
  const exchange = client.send(
    { method: options.method ?? "POST", target: "/upload", fields: Fields.from(lines), hasContent: true },
    {
      onDrain() {
        answer.drains++;
        pump();
      },
      onHead(head) {
        answer.head = head;
      },
      onContent(chunk) {
        answer.content += Buffer.from(chunk).toString("latin1");
      },
      onEnd: () => resolve(answer),
      onError(error) {
        answer.error = error;
        resolve(answer);
      },
    },
  );
  options.onExchange?.(exchange);
  pump();
  return promise;
}

describe("RequestContent", () => {
  test("of a length takes exactly that many octets", () => {
    const content = new RequestContent({ kind: "length", bytes: 5 });
    expect(content.around(3)).toEqual({ before: "", after: "" });
    expect(() => content.around(3)).toThrow(RangeError);
    expect(() => content.end(undefined)).toThrow(RangeError);
    content.around(2);
    expect(() => content.end(new Fields())).toThrow(RangeError);
    expect(content.end(undefined)).toBe("");
    expect(content.isEnded).toBe(true);
    expect(() => content.end(undefined)).toThrow(RangeError);
  });

  test("in chunks is framed, ended once, with trailers", () => {
    const content = new RequestContent({ kind: "chunked" });
    expect(content.around(255)).toEqual({ before: "ff\r\n", after: "\r\n" });
    expect(content.end(Fields.from([["X-Sum", "1"]]))).toBe("0\r\nX-Sum: 1\r\n\r\n");
    expect(() => content.around(1)).toThrow(RangeError);
  });
});

describe("a request with content", () => {
  test("reaches node:http octet for octet, by length and in chunks, trailers included, on one connection", async () => {
    const server = createServer((request: IncomingMessage, response) => {
      const hash = createHash("sha256");
      request.on("data", (chunk: Buffer) => hash.update(chunk));
      request.on("end", () => response.end(`${hash.digest("hex")} ${request.trailers["x-sum"] ?? ""}`));
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo;
    const client = new OriginClient({ origin: new URL(`http://127.0.0.1:${port}`) });
    try {
      for (const bytes of [1, 1000, 70_000, 3 * MIB + 7]) {
        const content = Buffer.alloc(bytes, "some content ");
        const sha256 = createHash("sha256").update(content).digest("hex");
        const chunks = [content.subarray(0, bytes >> 1), new Uint8Array(0), content.subarray(bytes >> 1)];
        const byLength = await upload(client, [["Content-Length", String(bytes)]], chunks);
        expect(byLength.content).toBe(`${sha256} `);
        const inChunks = await upload(client, [CHUNKED], chunks, { trailers: Fields.from([["X-Sum", "42"]]) });
        expect(inChunks.content).toBe(`${sha256} 42`);
      }
      expect(client.stats().connectionsMade).toBe(1);
    } finally {
      client.close();
      server.closeAllConnections();
      server.close();
    }
  });

  test("waits for an origin that does not read, with no more than the kernel's buffers under way", async () => {
    const totalBytes = 64 * MIB;
    const received = createHash("sha256");
    const taken = { bytes: 0 };
    const server = Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, chunk) {
          const start = taken.bytes === 0 ? chunk.indexOf("\r\n\r\n") + 4 : 0;
          received.update(chunk.subarray(start));
          taken.bytes += chunk.length - start;
          if (taken.bytes === totalBytes) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
          socket.pause();
          setTimeout(() => socket.resume(), 1);
        },
        error() {},
      },
    });
    const client = new OriginClient({ origin: new URL(`http://127.0.0.1:${server.port}`) });
    try {
      const chunk = Buffer.alloc(256 * 1024, "0123456789abcde");
      const sent = createHash("sha256");
      let writtenBytes = 0;
      let underWayMax = 0;
      const chunks = function* () {
        for (; writtenBytes < totalBytes; writtenBytes += chunk.length) {
          underWayMax = Math.max(underWayMax, writtenBytes - taken.bytes);
          sent.update(chunk);
          yield chunk;
        }
      };
      const answer = await upload(client, [["Content-Length", String(totalBytes)]], chunks(), { method: "PUT" });
      expect(answer.content).toBe("done");
      expect(received.digest("hex")).toBe(sent.digest("hex"));
      expect(underWayMax).toBeLessThan(16 * MIB);
      expect(answer.drains).toBeGreaterThan(4);
    } finally {
      client.close();
      server.stop(true);
    }
  });

  test("may be written while there is no connection yet, and waits for 100 (Continue) when its caller does", async () => {
    using origin = scriptedOrigin((connection, request) => {
      if (request.startsWith("POST")) connection.send("HTTP/1.1 100 Continue\r\n\r\n");
      else connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); // "late\r\n\r\n": the content, read as a request
    });
    const client = new OriginClient({ origin: origin.url });
    try {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const lines: [string, string][] = [
        ["Content-Length", "8"],
        ["Expect", "100-continue"],
      ];
      const exchange = client.send(
        { method: "POST", target: "/", fields: Fields.from(lines), hasContent: true },
        {
          onInformational() {
            exchange.write(Buffer.from("late\r\n\r\n"));
            exchange.endContent();
          },
          onHead() {},
          onContent() {},
          onEnd: () => resolve(),
          onError: reject,
        },
      );
      await promise;
      expect(origin.requests[1]).toBe("late\r\n\r\n");
      const early = await upload(client, [["Content-Length", "7"]], [Buffer.from("ear"), Buffer.from("\r\n\r\n")]);
      expect(early.error).toBeUndefined();
    } finally {
      client.close();
    }
  });

  test("answered before it is whole: the response is taken, its connection not used again", async () => {
    using origin = scriptedOrigin((connection) =>
      connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"),
    );
    const client = new OriginClient({ origin: origin.url });
    try {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      let status = 0;
      const exchange = client.send(
        { method: "PUT", target: "/", fields: Fields.from([["Content-Length", "1000"]]), hasContent: true },
        { onHead: (head) => (status = head.status), onContent() {}, onEnd: () => resolve(status), onError: reject },
      );
      expect(await promise).toBe(413);
      expect(client.stats().connections).toBe(0);
      exchange.write(Buffer.alloc(1000));
      exchange.endContent();
      expect(client.stats().connections).toBe(0);
    } finally {
      client.close();
    }
  });

  test("is never sent twice, whatever its method", async () => {
    using origin = scriptedOrigin((connection) => {
      if (connection.requests === 1) connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      else connection.socket.end();
    });
    const client = new OriginClient({ origin: origin.url });
    try {
      const line: [string, string][] = [["Content-Length", "2"]];
      // No CR LF CR LF in the content: the script takes heads only, and reads it as the start of the next.
      await upload(client, line, [Buffer.from("\r\n")], { method: "PUT" });
      const { error } = await upload(client, line, [Buffer.from("hi")], { method: "PUT" });
      expect(error?.code).toBe("ERR_ORIGIN_CUT_SHORT");
      expect(origin.requests).toHaveLength(2);
    } finally {
      client.close();
    }
  });

  test("send() throws when fields and hasContent do not agree", () => {
    const client = new OriginClient({ origin: new URL("http://127.0.0.1:1") });
    const send = (hasContent: boolean, ...lines: [string, string][]) =>
      client.send(
        { method: "POST", target: "/", fields: Fields.from(lines), hasContent },
        { onHead() {}, onContent() {}, onEnd() {}, onError() {} },
      );
    expect(() => send(true)).toThrow(TypeError);
    expect(() => send(true, ["Content-Length", "x"])).toThrow(TypeError);
    expect(() => send(true, ["Content-Length", "5"], CHUNKED)).toThrow(TypeError);
    expect(() => send(true, ["Transfer-Encoding", "gzip"])).toThrow(TypeError);
    expect(() => send(false, ["Content-Length", "5"])).toThrow(TypeError);
    const exchange = send(false, ["Content-Length", "0"]);
    expect(() => exchange.write(Buffer.from("x"))).toThrow(RangeError);
    expect(() => exchange.endContent()).toThrow(RangeError);
    exchange.abort();
    client.close();
  });
});
