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

/** Requests that are answered here and reach no origin. With content the connection ends: it is not read. */
function isAnsweredHere({ method, fields }: { method?: string; fields: [string, string][] }): boolean {
  const expectations = fields
    .filter(([name]) => name.toLowerCase() === "expect")
    .flatMap(([, value]) => value.split(","));
  const isKnown = (expectation: string) => ["", "100-continue"].includes(expectation.trim().toLowerCase());
  return method === "CONNECT" || !expectations.every(isKnown);
}

/** What says something of the connection, and nothing of the message; a proxy says its own. */
const OF_CONNECTION = ["keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate"];
/** What this proxy may say to the next hop, whether it was named or not. */
const RENDERED_ANEW = ["transfer-encoding", "connection", "upgrade"];
/** For all recipients of a message: who names them in Connection may not have them removed (RFC 9110 section 7.6.1). */
const FOR_ALL = [
  "host",
  "via",
  "forwarded",
  "x-forwarded-for",
  "content-length",
  "date",
  "cache-control",
  "authorization",
];

/** The lower-case names that must not be on the next hop. */
function endingHere(fields: readonly [string, string][]): string[] {
  const options = fields.flatMap(([name, value]) => (name.toLowerCase() === "connection" ? value.split(",") : []));
  const named = options.map((option) => option.trim().toLowerCase());
  return [...OF_CONNECTION, ...named].filter((name) => ![...RENDERED_ANEW, ...FOR_ALL].includes(name));
}

/** The values of a field among names and values in turn. */
function valuesOf(fields: readonly string[], lowerName: string): string[] {
  return fields.filter((_, index) => index % 2 === 1 && fields[index - 1]!.toLowerCase() === lowerName);
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
      const isOver = ({ method, body }: (typeof reading.messages)[number]) => method === "CONNECT" || body !== "";
      const lastAt = reading.messages.findIndex((message) => isAnsweredHere(message) && isOver(message));
      const read = lastAt < 0 ? reading.messages : reading.messages.slice(0, lastAt);
      const passing = read.filter((message) => !isAnsweredHere(message));
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
      for (const [index, { fields }] of origin.requests.entries()) {
        const names = fields.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
        const sent = passing[index]!.fields;
        expect(endingHere(sent).filter((name) => names.includes(name))).toEqual([]); // CHECKLIST 21
        for (const [name] of sent)
          if (FOR_ALL.includes(name.toLowerCase())) expect(names).toContain(name.toLowerCase());
        expect(valuesOf(fields, "host")).toEqual([new URL(origin.url).host]);
        expect(valuesOf(fields, "x-forwarded-for")).toEqual(["127.0.0.1"]);
      }
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
          const names = final[0]!.fields.map(([name]) => name.toLowerCase());
          expect(endingHere(expected.fields).filter((name) => names.includes(name))).toEqual([]);
        }
      }, 30_000);
    }
  }
});
