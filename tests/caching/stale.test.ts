/** Serving stale: RFC 5861, RFC 9111 section 4.2.4; and an origin that fails is left alone. CHECKLIST 68. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { DecidingOrigin } from "./origin.ts";
import { get } from "./support.ts";

/** Old when it comes: stale from the first moment, with a validator. */
function stale(control: string): Record<string, string> {
  return { "Cache-Control": `max-age=10, ${control}`, Age: "15", ETag: '"1"' };
}

setDefaultTimeout(60_000);

describe("stale", () => {
  test("stale-while-revalidate: served at once, one request in the background, however many are served", async () => {
    const gate = Promise.withResolvers<void>();
    await using origin = await DecidingOrigin.start(() => ({
      headers: stale("stale-while-revalidate=600"),
      body: "old",
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await get(webproxy.http, "/x");
    origin.answer = () => ({ headers: { "Cache-Control": "max-age=600" }, body: "new", until: gate.promise });
    const all = await Promise.all(Array.from({ length: 50 }, () => get(webproxy.http, "/x")));
    for (const { body, cache } of all)
      expect({ body, hit: cache?.startsWith("hit; ttl=-") }).toEqual({ body: "old", hit: true });
    expect(origin.count("/x")).toBe(2);
    expect(origin.last("/x")?.headers["if-none-match"]).toBe('"1"');
    gate.resolve();
    await eventually(5_000, "the new one is stored", async () => (await get(webproxy.http, "/x")).body === "new");
    expect(origin.count("/x")).toBe(2);
  });

  test.each([
    ["stale-if-error=600", { status: 503 }],
    ["stale-if-error=600", { dies: true }],
    ["x", { status: 500 }],
    ["x", { dies: true }],
  ] as const)(
    "%s and an origin that gives %j: stale is served, and the origin is not hammered",
    async (control, failure) => {
      await using origin = await DecidingOrigin.start(() => ({ headers: stale(control), body: "old" }));
      await using webproxy = await Webproxy.start({ origin: origin.url });
      await get(webproxy.http, "/x");
      origin.answer = () => failure;
      for (let time = 0; time < 50; time++) expect((await get(webproxy.http, "/x")).body).toBe("old");
      // GET that died before its answer is repeated once on a new connection; then it is quiet for a while.
      expect(origin.count("/x")).toBeLessThanOrEqual(5);
      origin.answer = () => ({ headers: { "Cache-Control": "max-age=600" }, body: "new" });
      await eventually(
        20_000,
        "the origin is asked again",
        async () => (await get(webproxy.http, "/x")).body === "new",
      );
    },
  );

  test.each(["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=10"])(
    "%s: an origin that is gone is a 504 (RFC 9111 section 5.2.2.2), never stale",
    async (control) => {
      await using origin = await DecidingOrigin.start(() => ({
        headers: stale(`${control}, stale-if-error=600`),
        body: "old",
      }));
      await using webproxy = await Webproxy.start({ origin: origin.url });
      await get(webproxy.http, "/x");
      origin.answer = () => ({ dies: true });
      for (let time = 0; time < 3; time++) expect((await get(webproxy.http, "/x")).status).toBe("504");
      origin.answer = () => ({ status: 503, body: "busy" });
      expect((await get(webproxy.http, "/x")).body).toBe("busy");
    },
  );

  test("stale-while-revalidate: a HEAD is served at once too, and what is stored is validated for it", async () => {
    await using origin = await DecidingOrigin.start(() => ({
      headers: stale("stale-while-revalidate=600"),
      body: "old",
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await get(webproxy.http, "/x");
    origin.answer = () => ({ headers: { "Cache-Control": "max-age=600" }, body: "new" });
    expect((await get(webproxy.http, "/x", { method: "HEAD" })).cache).toStartWith("hit; ttl=-");
    await eventually(5_000, "it is validated", () => origin.count("/x") === 2);
    expect(origin.last("/x")).toMatchObject({ method: "GET", headers: { "if-none-match": '"1"' } });
    await eventually(5_000, "the new one is stored", async () => (await get(webproxy.http, "/x")).body === "new");
    expect(origin.count("/x")).toBe(2);
  });

  test.each([
    { headers: { "Cache-Control": "no-store" }, body: "new" },
    { headers: { "Cache-Control": "private, max-age=600" }, body: "new" },
    { status: 404, body: "new" },
  ])("what is there instead and is not to be stored ends the use of the stale one: %j", async (answer) => {
    await using origin = await DecidingOrigin.start(() => ({
      headers: stale("stale-while-revalidate=600, stale-if-error=600"),
      body: "old",
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await get(webproxy.http, "/x");
    origin.answer = ({ headers }) => (headers.authorization === undefined ? answer : { ...answer, body: "for one" });
    // What is said to somebody's credentials is for him only.
    expect((await get(webproxy.http, "/x", { headers: { Authorization: "Basic eDp5" } })).body).toBe("old");
    await eventually(5_000, "it is validated for him", () => origin.count("/x") === 2);
    expect((await get(webproxy.http, "/x")).body).toBe("old");
    await eventually(5_000, "the new one goes out", async () => (await get(webproxy.http, "/x")).body === "new");
    origin.answer = () => ({ status: 503, body: "busy" });
    expect((await get(webproxy.http, "/x")).body).toBe("busy");
  });

  test("an error answer is passed on to who forbids stale, and does not replace what is stored", async () => {
    await using origin = await DecidingOrigin.start(() => ({ headers: stale("stale-if-error=600"), body: "old" }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await get(webproxy.http, "/x");
    origin.answer = () => ({ status: 503, body: "busy" });
    expect((await get(webproxy.http, "/x", { headers: { "Cache-Control": "no-cache" } })).body).toBe("busy");
    expect((await get(webproxy.http, "/x")).body).toBe("old");
  });

  test("what is not there is remembered as long as the origin says (negative caching)", async () => {
    await using origin = await DecidingOrigin.start(() => ({
      status: 404,
      headers: { "Cache-Control": "max-age=600" },
      body: "no",
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    for (let time = 0; time < 5; time++)
      expect(await get(webproxy.http, "/x")).toMatchObject({ status: "404", body: "no" });
    expect(origin.count("/x")).toBe(1);
  });
});
