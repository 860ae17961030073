/**
 * What a proxy thread does without asking the cache, because it knows what the cache would do: requests whose response can not be shared go straight to
 * the origin, and a change to what nobody holds is told to nobody. Both have to end with anything that makes them wrong.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { DecidingOrigin } from "./origin.ts";
import { get, purge } from "./support.ts";

setDefaultTimeout(60_000);

const ONE_THREAD = ["--threads", "1"];

/** How many requests the cache has seen. */
async function seenByCache(webproxy: Webproxy): Promise<number> {
  return (await webproxy.stats()).cache!.counters.requests;
}

describe("a response that can not be shared", () => {
  test("goes past the cache from the second request on, as the cache would have passed it on", async () => {
    await using origin = await DecidingOrigin.start(({ headers }) => ({
      headers: { "Cache-Control": "no-store", "X-Seen": Object.keys(headers).sort().join(" ") },
      body: "private",
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ONE_THREAD });
    const lies = { "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4" };
    const headers = { ...lies, Cookie: "a=b" };
    const first = await get(webproxy.http, "/x", { headers });
    expect(first.cache).toBe("fwd=uri-miss");
    const asked = await seenByCache(webproxy);
    for (let time = 0; time < 5; time++) {
      const next = await get(webproxy.http, "/x", { headers });
      expect(next.body).toBe("private");
      expect(next.cache).toBe("fwd=bypass");
      expect(field(next.head, "via")).toBe("1.1 webproxy");
      expect(field(next.head, "x-seen")).toBe("cookie forwarded host via x-forwarded-for");
    }
    expect(await seenByCache(webproxy)).toBe(asked);
    expect(origin.count("/x")).toBe(6);
    for (const { headers } of origin.requests) expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
  });

  test("a request that says how the cache should answer still goes to the cache", async () => {
    await using origin = await DecidingOrigin.start(() => ({ headers: { "Cache-Control": "no-store" }, body: "x" }));
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ONE_THREAD });
    await get(webproxy.http, "/x");
    const refused = await get(webproxy.http, "/x", { headers: { "Cache-Control": "only-if-cached" } });
    expect(refused.status).toBe("504");
    expect(origin.count("/x")).toBe(1);
  });

  test("a purge ends it: the next request asks the cache, and its response is stored when that may be", async () => {
    let control = "no-store";
    await using origin = await DecidingOrigin.start(() => ({ headers: { "Cache-Control": control }, body: control }));
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ONE_THREAD });
    await get(webproxy.http, "/x");
    const asked = await seenByCache(webproxy);
    await get(webproxy.http, "/x");
    expect(await seenByCache(webproxy)).toBe(asked);
    await purge(webproxy, { url: "/x" });
    control = "max-age=600";
    await get(webproxy.http, "/x");
    expect(await seenByCache(webproxy)).toBe(asked + 1);
  });

  test("it ends with its time: then a response that has become one to share is stored", async () => {
    let control = "no-store";
    await using origin = await DecidingOrigin.start(() => ({ headers: { "Cache-Control": control }, body: control }));
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ONE_THREAD });
    await get(webproxy.http, "/x");
    control = "max-age=600";
    await eventually(30_000, "it is stored", async () => /hit/.test((await get(webproxy.http, "/x")).cache ?? ""));
    expect((await get(webproxy.http, "/x")).body).toBe("max-age=600");
  });
});

describe("a change to what the cache does not hold", () => {
  test("is told to it once, and again as soon as it may hold something", async () => {
    let version = 1;
    await using origin = await DecidingOrigin.start(({ method }) => {
      if (method !== "GET") version++;
      return { headers: { "Cache-Control": "max-age=600" }, body: `v${version}` };
    });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ONE_THREAD });
    const messages = async () => (await webproxy.stats()).proxy!.counters.messagesSent;
    await get(webproxy.http, "/x", { method: "POST" });
    const told = await messages();
    for (let time = 0; time < 5; time++) await get(webproxy.http, "/x", { method: "POST" });
    expect(await messages()).toBe(told);
    for (let time = 0; time < 3; time++) {
      expect((await get(webproxy.http, "/x")).body).toBe(`v${version}`); // stored, then from the hot tier
      expect((await get(webproxy.http, "/x")).cache).toContain("hit");
      await get(webproxy.http, "/x", { method: "PUT" });
      expect((await get(webproxy.http, "/x")).body).toBe(`v${version}`);
      await get(webproxy.http, "/x", { method: "DELETE" });
    }
  });

  test("a response that was on its way when the change came is not given to who asks after it", async () => {
    let release: (() => void) | undefined;
    let version = 1;
    await using origin = await DecidingOrigin.start(({ method }) => {
      if (method !== "GET") version++;
      const body = `v${version}`;
      if (method !== "GET" || version !== 3) return { headers: { "Cache-Control": "max-age=600" }, body };
      const until = new Promise<void>((resolve) => {
        release = resolve;
      });
      return { headers: { "Cache-Control": "max-age=600" }, body, until };
    });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ONE_THREAD });
    // The second of these is told to nobody.
    for (let time = 0; time < 2; time++) await get(webproxy.http, "/x", { method: "POST" });
    const slow = get(webproxy.http, "/x");
    await eventually(30_000, "the origin is asked", () => Promise.resolve(release !== undefined));
    await get(webproxy.http, "/x", { method: "POST" });
    release!();
    expect((await slow).body).toBe("v3");
    for (let time = 0; time < 4; time++) expect((await get(webproxy.http, "/x")).body).toBe("v4");
  });

  test("a cache that is started again may hold it: it is told", async () => {
    let version = 1;
    await using origin = await DecidingOrigin.start(({ method }) => {
      if (method !== "GET") version++;
      return { headers: { "Cache-Control": "max-age=600" }, body: `v${version}` };
    });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ONE_THREAD });
    for (let time = 0; time < 3; time++) await get(webproxy.http, "/x", { method: "POST" });
    const { pid } = (await webproxy.stats()).cache!;
    process.kill(pid, "SIGKILL");
    await eventually(30_000, "there is another cache", async () => {
      const { cache } = await webproxy.stats();
      return cache !== null && cache.pid !== pid && cache.state === "serving";
    });
    const messages = async () => (await webproxy.stats()).proxy!.counters.messagesSent;
    const told = await messages();
    await get(webproxy.http, "/x", { method: "POST" });
    expect(await messages()).toBeGreaterThan(told);
    expect((await get(webproxy.http, "/x")).body).toBe(`v${version}`);
  });
});
