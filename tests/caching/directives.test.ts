/** Request directives (RFC 9111 section 5.2.1) and which of several stored responses is used (section 4), as bytes over sockets. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Webproxy } from "../support/webproxy.ts";
import { DecidingOrigin } from "./origin.ts";
import { get } from "./support.ts";

setDefaultTimeout(60_000);

const BODY = "0123456789";

describe("only-if-cached (section 5.2.1.7)", () => {
  const ONLY = { "Cache-Control": "only-if-cached" };

  test("is a 504 where nothing that is stored will do, and the origin hears nothing of it", async () => {
    await using origin = await DecidingOrigin.start(({ target, headers }) => {
      if (target === "/stale") return { headers: { "Cache-Control": "max-age=1", Age: "5", ETag: '"1"' }, body: BODY };
      if (target === "/part" && headers.range !== undefined) {
        const fields = { "Cache-Control": "max-age=600", ETag: '"1"', "Content-Range": "bytes 0-4/10" };
        return { status: 206, headers: fields, body: BODY.slice(0, 5) };
      }
      return { headers: { "Cache-Control": "max-age=600", ETag: '"1"', Vary: "X-Any" }, body: BODY };
    });
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await get(webproxy.http, "/stale");
    await get(webproxy.http, "/part", { headers: { Range: "bytes=0-4" } });
    await get(webproxy.http, "/vary");
    const asked = origin.requests.length;
    const refused: [string, Record<string, string>][] = [
      ["/none", ONLY],
      ["/stale", ONLY],
      ["/part", ONLY],
      ["/part", { ...ONLY, Range: "bytes=3-7" }],
      ["/vary", { ...ONLY, "X-Any": "other" }],
      ["/vary", { ...ONLY, "If-Match": '"2"' }],
      ["/vary", { "Cache-Control": "only-if-cached, no-cache" }],
      ["/vary", { "Cache-Control": "only-if-cached, min-fresh=3600" }],
    ];
    for (const [path, headers] of refused) {
      expect({ path, headers, status: (await get(webproxy.http, path, { headers })).status }).toEqual({
        path,
        headers,
        status: "504",
      });
    }
    expect((await get(webproxy.http, "/none", { method: "HEAD", headers: ONLY })).status).toBe("504");
    expect(origin.requests.length).toBe(asked);
  });

  test("gets what is stored, stale too where it says so", async () => {
    await using origin = await DecidingOrigin.start(({ target }) => ({
      headers: { "Cache-Control": "max-age=60", ...(target === "/stale" && { Age: "90" }), ETag: '"1"' },
      body: BODY,
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    for (const path of ["/fresh", "/stale"]) await get(webproxy.http, path);
    expect(await get(webproxy.http, "/fresh", { headers: ONLY })).toMatchObject({ status: "200", body: BODY });
    const stale = { "Cache-Control": "only-if-cached, max-stale" };
    expect((await get(webproxy.http, "/stale", { headers: stale })).cache).toStartWith("hit; ttl=-");
    const range = { ...ONLY, Range: "bytes=2-3" };
    expect(await get(webproxy.http, "/fresh", { headers: range })).toMatchObject({ status: "206", body: "23" });
    expect(origin.requests.length).toBe(2);
  });
});

test("no-cache, max-age and min-fresh have what is stored validated, max-stale takes it stale (sections 5.2.1.1 to 5.2.1.4)", async () => {
  await using origin = await DecidingOrigin.start(({ target, headers }) => {
    const fields = { "Cache-Control": "max-age=60", Age: target === "/stale" ? "90" : "20", ETag: '"1"' };
    return headers["if-none-match"] === '"1"' ? { status: 304, headers: fields } : { headers: fields, body: BODY };
  });
  await using webproxy = await Webproxy.start({ origin: origin.url });
  const verdicts: [string, string, string][] = [
    ["/a", "no-cache", "fwd=request; fwd-status=304"],
    ["/b", "max-age=10", "fwd=request; fwd-status=304"],
    ["/c", "max-age=30", "hit"],
    ["/d", "min-fresh=50", "fwd=request; fwd-status=304"],
    ["/e", "min-fresh=5", "hit"],
    ["/stale", "max-stale=10", "fwd=stale; fwd-status=304"],
    ["/stale", "max-stale=600", "hit"],
    ["/stale", "max-stale", "hit"],
    ["/f", "NO-CACHE", "fwd=request; fwd-status=304"],
    ["/g", "max-age=abc", "fwd=request; fwd-status=304"],
  ];
  for (const [path, control, verdict] of verdicts) {
    await get(webproxy.http, path);
    const { cache = "", body } = await get(webproxy.http, path, { headers: { "Cache-Control": control } });
    expect(body).toBe(BODY);
    expect({ path, control, verdict: cache.replace(/;? ?ttl=.*/, "") }).toEqual({ path, control, verdict });
  }
});

test("of several stored responses that match, the most recent by its Date is used (section 4)", async () => {
  const date = (secondsAgo: number) => new Date(Date.now() - secondsAgo * 1000).toUTCString();
  const answers = [
    { headers: { "Cache-Control": "max-age=600", Vary: "X-Foo", Date: date(10) }, body: "varies on Foo, newer" },
    { headers: { "Cache-Control": "max-age=600", Vary: "X-Bar", Date: date(100) }, body: "varies on Bar, older" },
  ];
  await using origin = await DecidingOrigin.start(() => answers.shift() ?? { body: "asked again" });
  await using webproxy = await Webproxy.start({ origin: origin.url });
  const ask = (foo: string, bar: string) =>
    get(webproxy.http, "/x", { headers: { "X-Foo": foo, "X-Bar": bar } }).then(({ body }) => body);
  expect(await ask("1", "2")).toBe("varies on Foo, newer");
  expect(await ask("2", "1")).toBe("varies on Bar, older");
  // Both match: the one that was received last is the older one.
  expect(await ask("1", "1")).toBe("varies on Foo, newer");
});
