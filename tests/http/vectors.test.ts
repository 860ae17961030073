/**
 * CHECKLIST 1-21 over real sockets: every vector of tests/vectors/http1 goes through a running `webproxy`. A request vector must reach the origin as the
 * messages that it is, read there by llhttp, or not at all; a response vector must reach the client as the message that it is, or as none.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readStream } from "../fuzz/http1-stream.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { NodeOrigin } from "./node-origin.ts";
import { RawOrigin, Wire } from "./wire.ts";

type Octets = string | (string | { repeat: string; times: number })[];

interface Vector {
  name: string;
  kind: "request" | "response";
  bytes: Octets;
  requestMethods?: string[];
}

const FOLDER = join(import.meta.dir, "../vectors/http1");
const vectors = readdirSync(FOLDER)
  .sort()
  .flatMap((file) => JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Vector[]);

function expand(octets: Octets): string {
  if (typeof octets === "string") return octets;
  return octets.map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times))).join("");
}

/** Requests that are answered here and reach no origin. */
function isAnsweredHere({ method, fields }: { method?: string; fields: [string, string][] }): boolean {
  const expectation = fields.find(([name]) => name.toLowerCase() === "expect")?.[1].toLowerCase();
  return method === "CONNECT" || (expectation !== undefined && expectation !== "100-continue");
}

describe("request vectors", () => {
  let origin: NodeOrigin;
  let webproxy: Webproxy;
  beforeAll(async () => {
    origin = await NodeOrigin.start();
    webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  }, 40_000);
  afterAll(async () => {
    await webproxy?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
  });

  // llhttp takes the methods that it knows; pass-through.test.ts sends others.
  const readable = vectors.filter(({ kind, name }) => kind === "request" && !/nobody has registered/.test(name));
  for (const vector of readable) {
    test(vector.name, async () => {
      const bytes = expand(vector.bytes);
      const reading = readStream({ kind: "request", bytes });
      const answeredHere = reading.messages.findIndex(isAnsweredHere);
      const passing = answeredHere < 0 ? reading.messages : reading.messages.slice(0, answeredHere);
      origin.requests = [];
      using client = await Wire.connect(webproxy.http);
      await client.send(bytes);
      client.end();
      await client.closed();
      const responses = readStream({
        kind: "response",
        bytes: client.received,
        requestMethods: [...reading.messages.map(({ method }) => method!), "GET"],
      });
      await eventually(2_000, `all of ${vector.name} at the origin`, () => origin.requests.length >= passing.length);
      const seen = origin.requests.map(({ method, target, body }) => ({ method, target, body }));
      const asOrigin = (target: string) =>
        target.replace(/^https?:\/\/[^/?*]+(?=[/?]|$)/i, "").replace(/^(?!\/|\*)/, "/");
      expect(seen).toEqual(
        passing.map(({ method, target, body }) => ({
          method: method!,
          target: method === "OPTIONS" && asOrigin(target!) === "/" && !target!.endsWith("/") ? "*" : asOrigin(target!),
          body,
        })),
      );
      const statuses = responses.messages.map(({ status }) => status!).filter((status) => status >= 200);
      const isRefused = reading.outcome === "refused";
      const refusals = statuses.filter((status) => status >= 400);
      if (isRefused && answeredHere < 0) {
        expect(refusals).toHaveLength(1);
        expect(statuses.at(-1)).toBeGreaterThanOrEqual(400);
      } else if (reading.outcome === "end" && answeredHere < 0) {
        expect(refusals).toEqual([]);
        expect(statuses).toHaveLength(reading.messages.length);
      }
    }, 30_000);
  }
});

describe("response vectors", () => {
  let answer = "";
  let origin: RawOrigin;
  let webproxy: Webproxy;
  beforeAll(async () => {
    origin = new RawOrigin(async (wire) => {
      await wire.head();
      await wire.send(answer);
      wire.close();
    });
    webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  }, 40_000);
  afterAll(async () => {
    await webproxy?.[Symbol.asyncDispose]();
    origin?.[Symbol.dispose]();
  });

  let serial = 0;
  for (const vector of vectors.filter(({ kind }) => kind === "response")) {
    for (const way of ["through the cache", "past it"]) {
      test(`${vector.name}, ${way}`, async () => {
        answer = expand(vector.bytes);
        const asked = vector.requestMethods?.[0] ?? "GET";
        if (asked === "CONNECT" || (way === "past it" && asked === "HEAD")) return; // not to be had that way
        const method = way === "past it" ? "POST" : asked;
        const reading = readStream({ kind: "response", bytes: answer, requestMethods: [method] });
        const [expected] = reading.messages.filter(({ status }) => status! >= 200);
        using client = await Wire.connect(webproxy.http);
        const length = method === "POST" ? "Content-Length: 0\r\n" : "";
        await client.send(`${method} /${serial++} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${length}\r\n`);
        await client.closed();
        const got = readStream({ kind: "response", bytes: client.received, requestMethods: [method] });
        const final = got.messages.filter(({ status }) => status! >= 200);
        const isSwitch = reading.messages.some(({ status }) => status === 101);
        if (expected === undefined || isSwitch) {
          // Either a gateway error, or a response that shows that it is not whole.
          expect(final.every(({ status }) => status === 502 || status === 504)).toBe(true);
          expect(final.length === 1 || got.outcome === "incomplete" || client.received === "").toBe(true);
        } else if (expected.status === 304 && final[0]?.status === 502) {
          expect(way).toBe("through the cache"); // nobody had asked whether anything was modified
        } else {
          expect(final).toHaveLength(1);
          expect(final[0]).toMatchObject({ status: expected.status!, body: expected.body });
        }
      }, 30_000);
    }
  }
});
