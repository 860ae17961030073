/** Ranges: stored, combined, completed; several at once; never one wrong byte (CHECKLIST 25, 41). */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Webproxy } from "../support/webproxy.ts";
import { DecidingOrigin, type OriginAnswer, type SeenRequest } from "./origin.ts";
import { type Got, get, purge, seededRandom } from "./support.ts";

const LENGTH = 300_000;

function bodyOf(version: number): Buffer {
  return Buffer.from(
    Uint8Array.from({ length: LENGTH }, (_, index) => (index * 31 + (index >> 9) * version + version) % 253),
  );
}

const BODIES = [bodyOf(1), bodyOf(2)] as const;

/** A correct origin with single ranges, If-Range and If-None-Match. */
function rangeOrigin(version: () => 0 | 1, fields: Record<string, string> = {}) {
  return ({ headers }: SeenRequest): OriginAnswer => {
    const body = BODIES[version()];
    const etag = `"v${version()}"`;
    const own = { "Cache-Control": "max-age=600", ETag: etag, "Content-Type": "text/x", ...fields };
    if (headers["if-none-match"] === etag) return { status: 304, headers: own };
    const match = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? "");
    const isApplicable = headers["if-range"] === undefined || headers["if-range"] === etag;
    if (match === null || !isApplicable) return { headers: own, body };
    const [, first = "", last = ""] = match;
    const start = first === "" ? Math.max(0, LENGTH - Number(last)) : Number(first);
    const end = first === "" || last === "" ? LENGTH : Math.min(LENGTH, Number(last) + 1);
    if (start >= end) return { status: 416, headers: { "Content-Range": `bytes */${LENGTH}` } };
    return {
      status: 206,
      headers: { ...own, "Content-Range": `bytes ${start}-${end - 1}/${LENGTH}` },
      body: body.subarray(start, end),
    };
  };
}

function range(webproxy: Webproxy, value: string, headers: Record<string, string> = {}): Promise<Got> {
  return get(webproxy.http, "/x", { headers: { Range: value, ...headers } });
}

function expectPart(got: Got, version: 0 | 1, start: number, end: number): void {
  expect({ status: got.status, isComplete: got.isComplete }).toEqual({ status: "206", isComplete: true });
  expect(/^content-range: (.*)\r$/im.exec(got.head)?.[1]).toBe(`bytes ${start}-${end - 1}/${LENGTH}`);
  expect(got.body === BODIES[version].subarray(start, end).toString("latin1")).toBe(true);
}

setDefaultTimeout(60_000);

describe("ranges", () => {
  test("parts are fetched as asked for, stored, and joined; what they cover needs no origin", async () => {
    await using origin = await DecidingOrigin.start(rangeOrigin(() => 0));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    expectPart(await range(webproxy, "bytes=1000-1999"), 0, 1000, 2000);
    expect(origin.last("/x")?.headers.range).toBe("bytes=1000-1999");
    expectPart(await range(webproxy, "bytes=2000-2999"), 0, 2000, 3000);
    expectPart(await range(webproxy, "bytes=-1000"), 0, LENGTH - 1000, LENGTH);
    expect(origin.count("/x")).toBe(3);
    for (const [start, end] of [
      [1000, 3000],
      [1500, 2500],
      [LENGTH - 10, LENGTH],
    ] as const) {
      const got = await range(webproxy, `bytes=${start}-${end - 1}`);
      expectPart(got, 0, start, end);
      expect(got.cache).toStartWith("hit");
    }
    expectPart(await range(webproxy, `bytes=${LENGTH - 500}-`), 0, LENGTH - 500, LENGTH);
    expect((await range(webproxy, `bytes=${LENGTH}-`)).status).toBe("416");
    expect(origin.count("/x")).toBe(3);
    expectPart(await range(webproxy, "bytes=500-1500"), 0, 500, 1501);
    expect(origin.count("/x")).toBe(4);
  });

  test("the client's conditions count beside its Range, whether the part is stored or not (RFC 9110 section 13.2.2)", async () => {
    const gives = rangeOrigin(() => 1);
    await using origin = await DecidingOrigin.start((request) => {
      const { "if-match": tags, "if-unmodified-since": since } = request.headers;
      return (tags !== undefined && tags !== '"v1"') || since !== undefined ? { status: 412 } : gives(request);
    });
    await using webproxy = await Webproxy.start({ origin: origin.url });
    for (const [index, value] of ["bytes=0-999", "bytes=1000-1999", "bytes=1000-1999"].entries()) {
      // A download that goes on where it was must not get bytes of another version.
      expect((await range(webproxy, value, { "If-Match": '"v0"' })).status).toBe("412");
      const since = { "If-Unmodified-Since": "Mon, 01 Jan 2024 00:00:00 GMT" };
      expect((await range(webproxy, value, since)).status).toBe("412");
      expect(await range(webproxy, value, { "If-None-Match": '"v1"' })).toMatchObject({ status: "304", body: "" });
      const start = index === 0 ? 0 : 1000;
      expectPart(await range(webproxy, value, { "If-Match": '"v1"' }), 1, start, start + 1000);
      expectPart(await range(webproxy, value, { "If-None-Match": '"v0"' }), 1, start, start + 1000);
    }
  });

  test("a stored prefix is completed, and the whole is then stored", async () => {
    await using origin = await DecidingOrigin.start(rangeOrigin(() => 0));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    expectPart(await range(webproxy, "bytes=0-99999"), 0, 0, 100_000);
    const all = await Promise.all(Array.from({ length: 5 }, () => get(webproxy.http, "/x")));
    for (const got of all) {
      expect({ status: got.status, isComplete: got.isComplete }).toEqual({ status: "200", isComplete: true });
      expect(got.body === BODIES[0].toString("latin1")).toBe(true);
      expect(got.head).not.toMatch(/content-range/i);
    }
    // Whichever came first asked for the rest; who came when it was there already is a hit.
    expect(all.map((got) => got.cache).some((cache) => cache?.startsWith("fwd=partial; fwd-status=206"))).toBe(true);
    expect(origin.last("/x")?.headers).toMatchObject({ range: "bytes=100000-", "if-range": '"v0"' });
    expect(origin.count("/x")).toBe(2);
    const again = await get(webproxy.http, "/x");
    expect(again.cache).toStartWith("hit");
    expect(again.body === BODIES[0].toString("latin1")).toBe(true);
  });

  test("CHECKLIST 41: parts of different validators are never joined, and a part is never a whole", async () => {
    let version: 0 | 1 = 0;
    await using origin = await DecidingOrigin.start(rangeOrigin(() => version));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    expectPart(await range(webproxy, "bytes=0-99999"), 0, 0, 100_000);
    version = 1;
    const whole = await get(webproxy.http, "/x"); // If-Range does not hold: all of the new one
    expect(whole.status).toBe("200");
    expect(whole.body === BODIES[1].toString("latin1")).toBe(true);
    expectPart(await range(webproxy, "bytes=0-9"), 1, 0, 10);

    await purge(webproxy, { all: true });
    version = 0;
    expectPart(await range(webproxy, "bytes=0-999"), 0, 0, 1000);
    version = 1;
    expectPart(await range(webproxy, "bytes=1000-1999"), 1, 1000, 2000);
    expectPart(await range(webproxy, "bytes=0-999"), 1, 0, 1000); // the older part is gone
  });

  test.each([
    ["no validator", {}],
    ["a weak tag", { ETag: 'W/"a"' }],
  ])("%s: parts are not joined, a prefix is not completed by what may be another body", async (_, validator) => {
    let version: 0 | 1 = 0;
    await using origin = await DecidingOrigin.start((request) => {
      const { ETag: _etag, ...headers } = rangeOrigin(() => version)(request).headers as Record<string, string>;
      return {
        ...rangeOrigin(() => version)({ ...request, headers: { ...request.headers, "if-range": undefined } }),
        headers: { ...headers, ...validator },
      };
    });
    await using webproxy = await Webproxy.start({ origin: origin.url });
    expectPart(await range(webproxy, "bytes=0-999"), 0, 0, 1000);
    version = 1;
    expectPart(await range(webproxy, "bytes=1000-1999"), 1, 1000, 2000);
    const joined = await range(webproxy, "bytes=500-1500");
    expectPart(joined, 1, 500, 1501);
    const whole = await get(webproxy.http, "/x");
    expect(whole.body === BODIES[1].toString("latin1")).toBe(true);
  });

  test("an origin that gives another part than was asked for to complete, or breaks it off, spoils nothing", async () => {
    const honest = rangeOrigin(() => 0);
    await using origin = await DecidingOrigin.start(honest);
    await using webproxy = await Webproxy.start({ origin: origin.url });
    for (const answer of [
      {
        status: 206,
        headers: { "Content-Range": `bytes 150000-${LENGTH - 1}/${LENGTH}`, ETag: '"v0"' },
        body: BODIES[0].subarray(150_000),
      },
      {
        status: 206,
        headers: { "Content-Range": `bytes 100000-${LENGTH - 1}/${LENGTH}`, ETag: '"v1"' },
        body: BODIES[1].subarray(100_000),
      },
      {
        status: 206,
        headers: { "Content-Range": `bytes 100000-${LENGTH}/${LENGTH + 1}`, ETag: '"v0"' },
        body: Buffer.alloc(LENGTH - 99_999),
      },
      { status: 416, headers: { "Content-Range": "bytes */5" } },
    ] satisfies OriginAnswer[]) {
      origin.answer = honest;
      await purge(webproxy, { all: true });
      expectPart(await range(webproxy, "bytes=0-99999"), 0, 0, 100_000);
      origin.answer = (request) => (request.headers.range?.startsWith("bytes=100000-") ? answer : honest(request));
      const whole = await get(webproxy.http, "/x");
      expect({ status: whole.status, isRight: whole.body === BODIES[0].toString("latin1") }).toEqual({
        status: "200",
        isRight: true,
      });
    }
  });

  test("several ranges are multipart/byteranges; overlapping ones are joined; a request for very many gets the whole", async () => {
    await using origin = await DecidingOrigin.start(rangeOrigin(() => 0));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await get(webproxy.http, "/x");
    const got = await range(webproxy, "bytes=0-4, 100-104,-5");
    const boundary = /^content-type: multipart\/byteranges; boundary=(\S+)\r$/im.exec(got.head)?.[1];
    const part = (start: number, end: number) =>
      `--${boundary}\r\nContent-Type: text/x\r\nContent-Range: bytes ${start}-${end - 1}/${LENGTH}\r\n\r\n${BODIES[0].subarray(start, end).toString("latin1")}\r\n`;
    expect({ status: got.status, isComplete: got.isComplete }).toEqual({ status: "206", isComplete: true });
    expect(got.body).toBe(`${part(0, 5)}${part(100, 105)}${part(LENGTH - 5, LENGTH)}--${boundary}--\r\n`);
    expectPart(await range(webproxy, "bytes=0-99,50-149"), 0, 0, 150);
    const many = Array.from({ length: 10_000 }, (_, index) => `${index * 2}-${index * 2}`).join(",");
    expect((await range(webproxy, `bytes=${many.slice(0, 30_000)}1`)).status).toBe("200"); // CHECKLIST 25
    expect((await range(webproxy, `bytes=${"0-,".repeat(10_000)}1-`)).status).toBe("200"); // all of them overlap
    for (const reversed of ["bytes=9-0", "bytes=0-4,9-5"]) expect((await range(webproxy, reversed)).status).toBe("200");
    for (const position of [2n ** 63n, 2n ** 64n, 10n ** 30n]) {
      expect((await range(webproxy, `bytes=${position}-`)).status).toBe("416");
      expectPart(await range(webproxy, `bytes=5-${position}`), 0, 5, LENGTH);
      expect((await range(webproxy, `bytes=-${position}`)).body === BODIES[0].toString("latin1")).toBe(true);
    }
    expect(origin.count("/x")).toBe(1);
  });

  test("any sequence of ranges gives the bytes of the whole", async () => {
    await using origin = await DecidingOrigin.start(rangeOrigin(() => 0));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    const seed = Date.now() % 2 ** 31;
    process.stdout.write(`seed ${seed}\n`);
    const random = seededRandom(seed);
    for (let time = 0; time < 150; time++) {
      const start = Math.floor(random() ** 2 * LENGTH);
      const end = Math.min(LENGTH, start + 1 + Math.floor(random() ** 3 * 60_000));
      const isSuffix = random() < 0.1;
      const value = isSuffix
        ? `bytes=-${LENGTH - start}`
        : random() < 0.1
          ? `bytes=${start}-`
          : `bytes=${start}-${end - 1}`;
      const to = value.endsWith("-") || isSuffix ? LENGTH : end;
      if (random() < 0.02) await purge(webproxy, { all: true, soft: random() < 0.5 });
      expectPart(await range(webproxy, value), 0, start, to);
    }
    const whole = await get(webproxy.http, "/x");
    expect(whole.body === BODIES[0].toString("latin1")).toBe(true);
  });
});
