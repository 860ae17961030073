/** Rules of RFC 9111, 9110 and 9213 one by one, as bytes over sockets: what is stored and answered again, and what a change takes away. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Webproxy } from "../support/webproxy.ts";
import { DecidingOrigin, type OriginAnswer } from "./origin.ts";
import { type Got, get } from "./support.ts";

setDefaultTimeout(60_000);

const BODY = "0123456789abcdefghij";
const HOUR_AGO = new Date(Date.now() - 3_600_000).toUTCString();

let origin: DecidingOrigin;
let webproxy: Webproxy;
let paths = 0;

beforeAll(async () => {
  origin = await DecidingOrigin.start(() => ({}));
  webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "2"] });
});

afterAll(async () => {
  await webproxy[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Got> {
  return get(webproxy.http, path, { headers, method });
}

/** A resource of its own for each test, that is answered so. */
function resource(answer: OriginAnswer): string {
  origin.answer = () => ({ body: BODY, ...answer });
  return `/rule-${++paths}`;
}

async function isStored(path: string, first: Record<string, string> = {}): Promise<boolean> {
  await ask(path, first);
  return (await ask(path)).cache?.startsWith("hit") === true;
}

describe("storing and freshness (RFC 9111 sections 3, 4.2, 5.2.2)", () => {
  test.each([
    ["max-age=600", true],
    ['max-age="600"', true],
    ["MaX-aGe=600", true],
    [",max-age=600,,", true],
    ["max-age=18446744073709551616", true],
    ["s-maxage=600, max-age=0", true],
    ["max-age=600, s-maxage=0", false],
    ['foo="a, no-store, b", max-age=600', true],
    ['foo="\\"no-store", max-age=600', true],
    ["max-age=600, no-store", false],
    ["max-age=600;no-store", false],
    ["no-store=1, max-age=600", false],
    ["max-age=600, private", false],
    ['max-age=600, private="x-own"', true],
    ['max-age=600, no-cache="x-own"', true],
    ["max-age=600, no-cache", false],
    ["max-age=-1", false],
    ["max-age=1.5", false],
    ["max-age", false],
  ])("Cache-Control: %s", async (control, stored) => {
    const path = resource({ headers: { "Cache-Control": control, "X-Own": "of one client" } });
    expect(await isStored(path)).toBe(stored);
    if (control.includes('"x-own"')) expect((await ask(path)).head).not.toContain("X-Own");
  });

  test("two lines of Cache-Control count together", async () => {
    expect(await isStored(resource({ headers: { "Cache-Control": ["max-age=600", "no-store"] } }))).toBe(false);
  });

  test.each([
    [200, true],
    [203, true],
    [300, true],
    [301, true],
    [308, true],
    [404, true],
    [405, true],
    [410, true],
    [414, true],
    [501, true],
    [302, false],
    [403, false],
    [500, false],
    [503, false],
  ])("a %d without more than Last-Modified", async (status, stored) => {
    expect(await isStored(resource({ status, headers: { "Last-Modified": HOUR_AGO } }))).toBe(stored);
  });

  test.each([
    ["max-age=600", false],
    ["max-age=600, proxy-revalidate", false],
    ["public, max-age=600", true],
    ["s-maxage=600", true],
    ["max-age=600, must-revalidate", true],
  ])("what was answered to credentials with %s (section 3.5)", async (control, stored) => {
    const path = resource({ headers: { "Cache-Control": control } });
    expect(await isStored(path, { Authorization: "Basic abc" })).toBe(stored);
  });

  test.each([
    ["max-age=600", "no-store", true],
    ["max-age=600", "private", true],
    ["s-maxage=600", "no-store", true],
    ["max-age=600;foo=1", "no-store", true],
    ["no-store", "max-age=600", false],
    ["no-cache", "max-age=600", false],
    ["max-age=0", "max-age=600", false],
    ["max-age=600, max-age=0", "max-age=600", false],
    ["public", "max-age=600", false],
    ["", "max-age=600", true],
    ['max-age="0"', "max-age=600", true],
    ["max-age=600.0", "no-store", false],
    ["MAX-AGE=600", "no-store", false],
    ["max-age=600, &&&", "no-store", false],
  ])("CDN-Cache-Control: %s beside Cache-Control: %s (RFC 9213)", async (targeted, control, stored) => {
    const headers = { "CDN-Cache-Control": targeted, "Cache-Control": control };
    expect(await isStored(resource({ headers }))).toBe(stored);
  });

  test.each([
    [{ Age: "100" }, 100],
    [{ Age: "10", Date: HOUR_AGO }, 3600],
    [{ Age: "abc" }, 0],
    [{ Age: "50, 7000" }, 50],
  ])("Age is the older of what the origin's fields say: %j (sections 4.2.3, 5.1)", async (fields, seconds) => {
    const path = resource({ headers: { "Cache-Control": "max-age=7200", ...(fields as Record<string, string>) } });
    await ask(path);
    const { age = -1, cache } = await ask(path);
    expect(cache).toStartWith("hit");
    expect(age).toBeGreaterThanOrEqual(seconds);
    expect(age).toBeLessThan(seconds + 600);
  });
});

describe("answers made of what is stored (RFC 9110 sections 13, 14)", () => {
  test.each([
    ["bytes=0-1", "206", "01"],
    ["bytes=18-", "206", "ij"],
    ["bytes=18-99999999999999999999", "206", "ij"],
    ["bytes=-3", "206", "hij"],
    ["bytes=-99", "206", BODY],
    ["bytes=0-1, 1-3", "206", "0123"],
    ["bytes=20-", "416", ""],
    ["bytes=-0", "416", ""],
    ["bytes=5-2", "200", BODY],
    ["bytes=a-b", "200", BODY],
    ["items=0-1", "200", BODY],
  ])("Range: %s is a %s, without the origin", async (range, status, body) => {
    const path = resource({ headers: { "Cache-Control": "max-age=600", ETag: '"s"' } });
    await ask(path);
    const asked = origin.requests.length;
    expect(await ask(path, { Range: range })).toMatchObject({ status, body });
    expect(origin.requests.length).toBe(asked);
  });

  test.each([
    [{ "If-None-Match": "*" }, "304"],
    [{ "If-None-Match": 'W/"s"' }, "304"],
    [{ "If-None-Match": '"a", "s"' }, "304"],
    [{ "If-None-Match": '"a"', "If-Modified-Since": new Date(0).toUTCString() }, "200"],
    [{ "If-None-Match": '"s"', Range: "bytes=0-1" }, "304"],
    [{ "If-None-Match": '"a"', Range: "bytes=0-1" }, "206"],
    [{ "If-Range": '"s"', Range: "bytes=0-1" }, "206"],
    [{ "If-Range": 'W/"s"', Range: "bytes=0-1" }, "200"],
    [{ "If-Range": '"a"', Range: "bytes=0-1" }, "200"],
    [{ "If-Range": HOUR_AGO, Range: "bytes=0-1" }, "206"],
    [{ "If-Modified-Since": HOUR_AGO }, "304"],
    [{ "If-Modified-Since": "soon" }, "200"],
    [{ "If-Match": '"s"' }, "200"],
  ])("%j is a %s, without the origin", async (headers, status) => {
    const path = resource({ headers: { "Cache-Control": "max-age=600", ETag: '"s"', "Last-Modified": HOUR_AGO } });
    await ask(path);
    const asked = origin.requests.length;
    expect((await ask(path, headers as Record<string, string>)).status).toBe(status);
    expect(origin.requests.length).toBe(asked);
  });

  test("a stored error is neither a 304 nor cut into ranges", async () => {
    const path = resource({ status: 404, headers: { "Cache-Control": "max-age=600", ETag: '"s"' } });
    await ask(path);
    expect((await ask(path, { "If-None-Match": '"s"' })).status).toBe("404");
    expect(await ask(path, { Range: "bytes=0-1" })).toMatchObject({ status: "404", body: BODY });
  });

  test("HEAD has the length of the stored GET, whatever Range it sends", async () => {
    const path = resource({ headers: { "Cache-Control": "max-age=600" } });
    await ask(path);
    const { status, head, body, cache } = await ask(path, { Range: "bytes=0-1" }, "HEAD");
    expect({ status, body }).toEqual({ status: "200", body: "" });
    expect(head).toContain("Content-Length: 20");
    expect(cache).toStartWith("hit");
  });
});

describe("unsafe methods (RFC 9111 section 4.4)", () => {
  const cases = ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"].flatMap((method) =>
    ([200, 201, 204, 303, 400, 500] as const).map((status) => [method, status, status >= 400] as const),
  );

  test.each(cases)("%s answered with a %d: what is stored stays: %p", async (method, status, stays) => {
    const path = resource({ headers: { "Cache-Control": "max-age=600" } });
    await ask(path);
    origin.answer = () => ({ status });
    await ask(path, {}, method);
    origin.answer = () => ({ headers: { "Cache-Control": "max-age=600" }, body: BODY });
    expect((await ask(path)).cache?.startsWith("hit")).toBe(stays);
  });

  test("a safe one changes nothing", async () => {
    const path = resource({ headers: { "Cache-Control": "max-age=600" } });
    await ask(path);
    await ask(path, {}, "OPTIONS");
    expect((await ask(path)).cache).toStartWith("hit");
  });
});
