/** CHECKLIST 43 to 45 on real processes: requests that are none, paths that would leave the origin, and what each trouble is called. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile, getfileRaw } from "../support/getfile-client.ts";
import { Webproxy } from "../support/webproxy.ts";

const BODY = someBytes(100_000, 43);
const FRESH = { "Cache-Control": "max-age=600" };

let origin: CountingOrigin;
let webproxy: Webproxy;
beforeAll(async () => {
  origin = CountingOrigin.start({
    "/base/file": { body: BODY, headers: FRESH },
    "/base/a*b": { body: Buffer.from("a star is no delimiter"), headers: FRESH },
    "/base/empty": { headers: FRESH },
    "/secret": { body: Buffer.from("outside") },
  });
  webproxy = await Webproxy.start({ origin: `${origin.url}/base/`, args: ["--segment-size", "16KiB"] });
}, 90_000);
afterAll(async () => {
  await webproxy?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
}, 90_000);

const whole = { status: "OK", length: BODY.length, sha256: sha256(BODY), isComplete: true };

describe("43 malformed GETFILE requests", () => {
  const malformed: Record<string, string> = {
    "another scheme": "GETFILES GET /file\r\n\r\n",
    "no scheme": "GET /file\r\n\r\n",
    HTTP: "GET /file HTTP/1.1\r\nHost: a\r\n\r\n",
    "another method": "GETFILE PUT /file\r\n\r\n",
    "no method": "GETFILE /file\r\n\r\n",
    "no path": "GETFILE GET \r\n\r\n",
    "a path without a slash": "GETFILE GET file\r\n\r\n",
    "two blanks before the method": "GETFILE  GET /file\r\n\r\n",
    "two blanks before the path": "GETFILE GET  /file\r\n\r\n",
    "two blanks behind the path": "GETFILE GET /file  \r\n\r\n",
    "a blank before the scheme": " GETFILE GET /file\r\n\r\n",
    "a word behind the path": "GETFILE GET /file more\r\n\r\n",
    "a tab for a blank": "GETFILE\tGET /file\r\n\r\n",
    "NUL in the path": "GETFILE GET /fi\0le\r\n\r\n",
    "a control byte in the path": "GETFILE GET /fi\x01le\r\n\r\n",
    "DEL in the path": "GETFILE GET /fi\x7fle\r\n\r\n",
    "bare LF": "GETFILE GET /file\n\n",
    "bare CR": "GETFILE GET /file\r\r",
    "one CR LF and other bytes": "GETFILE GET /file\r\nmore\r\n\r\n",
    "only a terminator": "\r\n\r\n",
    "a header of 9 KiB": `GETFILE GET /${"x".repeat(9 * 1024)}\r\n\r\n`,
    "9 KiB without a terminator": `GETFILE GET /${"x".repeat(9 * 1024)}`,
  };
  for (const [name, request] of Object.entries(malformed)) {
    test(`43 ${name}: INVALID, then the connection closes`, async () => {
      const before = origin.requests.length;
      const got = await getfileRaw(webproxy.getfile, request);
      expect(got.head).toBe("GETFILE INVALID \r\n\r\n");
      expect(origin.requests.length).toBe(before);
    });
  }

  test("43 byte by byte, any case, with a blank before the terminator, with bytes after it: all are served", async () => {
    expect(await getfile(webproxy.getfile, "/file", { byteByByte: true })).toMatchObject(whole);
    for (const request of [
      "getfile get /file\r\n\r\n",
      "GetFile gEt /file \r\n\r\n",
      `GETFILE GET /file\r\n\r\n${"x".repeat(100_000)}`,
    ]) {
      expect(await getfileRaw(webproxy.getfile, request)).toMatchObject(whole);
    }
    expect(await getfileRaw(webproxy.getfile, "GETFILE PUT /file\r\n\r\n", { byteByByte: true })).toMatchObject({
      status: "INVALID",
    });
  });

  test("43 a header that is not complete in ten seconds, or never: INVALID, then the connection closes", async () => {
    const started = performance.now();
    const [silent, half] = await Promise.all([
      getfileRaw(webproxy.getfile, ""),
      getfileRaw(webproxy.getfile, "GETFILE GET /file\r\n"),
    ]);
    expect([silent.head, half.head]).toEqual(["GETFILE INVALID \r\n\r\n", "GETFILE INVALID \r\n\r\n"]);
    expect(performance.now() - started).toBeGreaterThan(9_000);
  }, 40_000);

  test("43 half a header and then the client's end: INVALID; a whole one and then the client's end: served", async () => {
    const half = await getfileRaw(webproxy.getfile, "GETFILE GET /file\r\n", { halfCloses: true });
    expect(half.head).toBe("GETFILE INVALID \r\n\r\n");
    expect(await getfile(webproxy.getfile, "/file", { halfCloses: true })).toMatchObject(whole);
  });

  test("43 an empty file is found, and a star is a letter like any other", async () => {
    const empty = await getfile(webproxy.getfile, "/empty");
    expect(empty).toMatchObject({ status: "OK", length: 0, isComplete: true, head: "GETFILE OK 0 \r\n\r\n" });
    expect(await getfile(webproxy.getfile, "/a*b")).toMatchObject({ status: "OK", length: 22, isComplete: true });
  });
});

test("a client that reads nothing for eight seconds gets its tail: no reset eats what the kernel still holds", async () => {
  // 2 MB fit into the kernel's buffers: the proxy is done long before the client begins to read.
  const large = someBytes(2_000_000, 44);
  await using own = CountingOrigin.start({ "/large": { body: large, headers: FRESH } });
  await using proxy = await Webproxy.start({ origin: own.url });
  for (const pauseAfterBytes of [1, 500_000]) {
    const got = await getfile(proxy.getfile, "/large", {
      pauseAfterBytes: { bytes: pauseAfterBytes, until: Bun.sleep(8000) },
    });
    expect(got).toMatchObject({ length: large.length, sha256: sha256(large), isComplete: true });
  }
}, 120_000);

describe("44 paths that would leave the origin's prefix", () => {
  const leaving = [
    "/../secret",
    "/..",
    "/./../secret",
    "/x/../../secret",
    "/%2e%2e/secret",
    "/%2E./secret",
    "/.%2e/secret",
    "/..%2fsecret",
    "/x%2f..%2f..%2fsecret",
    "/..\\secret",
    "/%5c..%5csecret",
    "//secret",
    "//127.0.0.1/secret",
    "/file%00",
    "/http://127.0.0.1/secret",
  ];
  for (const path of leaving) {
    test(`44 ${path}`, async () => {
      const before = origin.requests.length;
      const got = await getfile(webproxy.getfile, path);
      expect(got.status).not.toBe("OK");
      expect(got.bytes).toBe(0);
      for (const { target } of origin.requests.slice(before)) {
        expect(target).toStartWith("/base/");
        expect(decodeURIComponent(target)).not.toMatch(/\.\.|\\|\0/);
      }
    });
  }

  test("44 an absolute URL is no path", async () => {
    const before = origin.requests.length;
    const got = await getfileRaw(webproxy.getfile, `GETFILE GET ${origin.url}/secret\r\n\r\n`);
    expect(got.head).toBe("GETFILE INVALID \r\n\r\n");
    expect(origin.requests.length).toBe(before);
  });
});

describe("45 what the origin says", () => {
  const answers: readonly [number, string][] = [
    [404, "FILE_NOT_FOUND"],
    [410, "FILE_NOT_FOUND"],
    [400, "ERROR"],
    [403, "ERROR"],
    [500, "ERROR"],
    [503, "ERROR"],
    [301, "ERROR"],
    [204, "ERROR"],
  ];
  for (const [status, expected] of answers) {
    test(`45 status ${status} is ${expected}`, async () => {
      origin.set(`/base/status-${status}`, {
        status,
        body: status === 204 ? Buffer.alloc(0) : Buffer.from("why\n"),
        headers: { Location: "/x" },
      });
      const got = await getfile(webproxy.getfile, `/status-${status}`);
      expect(got.head).toBe(`GETFILE ${expected} \r\n\r\n`);
    });
  }

  test("45 small bodies whose length is not said, in several portions, for several clients at a time", async () => {
    await using own = CountingOrigin.start();
    await using small = await Webproxy.start({
      origin: own.url,
      args: ["--segment-size", "4KiB", "--segments", "12", "--memory", "192KiB"],
    });
    const targets = Array.from({ length: 60 }, (_, index) => `/${index}`);
    for (const [index, target] of targets.entries()) {
      const pace = index % 2 === 0 ? { pace: { bytes: 900, everyMs: 2 } } : {};
      own.set(target, { body: BODY.subarray(0, 3000 + index * 50), framing: "chunked", headers: FRESH, ...pace });
    }
    const asked = [...targets, ...targets].map(async (target, index) => {
      const pause = index % 3 === 0 ? { pauseAfterBytes: { bytes: 1, until: Bun.sleep(index) } } : {};
      return { target, got: await getfile(small.getfile, target, pause) };
    });
    for (const { target, got } of await Promise.all(asked)) {
      const body = BODY.subarray(0, 3000 + Number(target.slice(1)) * 50);
      const { status, isComplete, sha256: sum } = got;
      expect({ target, status, isComplete, sum }).toEqual({
        target,
        status: "OK",
        isComplete: true,
        sum: sha256(body),
      });
    }
  }, 60_000);

  for (const framing of ["chunked", "close"] as const) {
    test(`45 a body whose length is not said (${framing}) arrives with its length, cold and warm`, async () => {
      origin.set(`/base/${framing}`, { body: BODY, framing, headers: FRESH });
      for (const _ of ["cold", "warm"]) expect(await getfile(webproxy.getfile, `/${framing}`)).toMatchObject(whole);
    });
  }

  for (const [name, resource] of Object.entries({
    "before its head": { dieAfterBytes: -1 },
    "in the middle of a body of known length": { body: BODY, dieAfterBytes: 50_000 },
    "after a head with a length": { body: BODY, dieAfterBytes: 0 },
    "in the middle of a chunked body": { body: BODY, framing: "chunked" as const, dieAfterBytes: 50_000 },
  })) {
    test(`45 an origin that dies ${name}: an error or an abort, never a whole answer; then it is well again`, async () => {
      const path = `/dies-${Bun.hash(name).toString(36)}`;
      origin.set(`/base${path}`, { ...resource, headers: FRESH });
      for (let round = 0; round < 3; round++) {
        const got = await getfile(webproxy.getfile, path);
        if (got.status === "OK") expect(got).toMatchObject({ length: BODY.length, isComplete: false });
        else expect(got.status).toBe("ERROR");
      }
      origin.set(`/base${path}`, { body: BODY, headers: FRESH });
      expect(await getfile(webproxy.getfile, path)).toMatchObject(whole);
      await webproxy.segmentsReturned();
    });
  }
});
