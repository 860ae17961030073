/** RFC 9111 section 4.4, RFC 9875: what a client has changed it does not get as it was, from no tier of any thread. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { DecidingOrigin } from "./origin.ts";
import { get, warm } from "./support.ts";

async function changingOrigin(headers: Record<string, string> = {}, status = 200) {
  let version = 1;
  return DecidingOrigin.start(({ method, target }) => {
    if (method !== "GET") {
      if (status < 400) version++;
      return { status, headers, body: "done" };
    }
    return {
      headers: { "Cache-Control": "max-age=600", "Cache-Groups": `"${target[1]}"` },
      body: `${target} v${version}`,
    };
  });
}

setDefaultTimeout(60_000);

describe("invalidation", () => {
  test.each(["POST", "PUT", "DELETE", "PATCH"])("after %s nobody gets what was stored", async (method) => {
    await using origin = await changingOrigin();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await warm(webproxy.http, "/x?q=1");
    await warm(webproxy.http, "/other");
    await get(webproxy.http, "/x?q=1", { method });
    for (let time = 0; time < 10; time++) {
      expect((await get(webproxy.http, "/x?q=1")).body).toBe("/x?q=1 v2");
      expect((await get(webproxy.http, "/other")).body).toBe("/other v1");
    }
  });

  test("Location and Content-Location of this origin, in whatever shard they are; not of another", async () => {
    await using origin = await changingOrigin({
      Location: "/located",
      "Content-Location": "content",
      "X-Other": "http://other.example/x",
    });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "4"] });
    for (const path of ["/dir/x", "/located", "/dir/content", "/content"]) await warm(webproxy.http, path);
    await get(webproxy.http, "/dir/x", { method: "POST" });
    for (let time = 0; time < 10; time++) {
      for (const path of ["/dir/x", "/located", "/dir/content"])
        expect((await get(webproxy.http, path)).body).toBe(`${path} v2`);
      expect((await get(webproxy.http, "/content")).body).toBe("/content v1");
    }
  });

  test("an error changes nothing", async () => {
    await using origin = await changingOrigin({}, 500);
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await warm(webproxy.http, "/x");
    await get(webproxy.http, "/x", { method: "PUT" });
    expect((await get(webproxy.http, "/x")).body).toBe("/x v1");
    expect(origin.count("/x")).toBe(2);
  });

  test("a group (Cache-Group-Invalidation)", async () => {
    await using origin = await changingOrigin({ "Cache-Group-Invalidation": '"a", "b"' });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "4"] });
    for (const path of ["/a1", "/a2", "/b", "/c"]) await warm(webproxy.http, path);
    await get(webproxy.http, "/unrelated", { method: "POST" });
    for (let time = 0; time < 10; time++) {
      for (const path of ["/a1", "/a2", "/b"]) expect((await get(webproxy.http, path)).body).toBe(`${path} v2`);
      expect((await get(webproxy.http, "/c")).body).toBe("/c v1");
    }
  });

  test("a client that changes and reads at once never reads what it has changed", async () => {
    await using origin = await changingOrigin();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    let known = 1;
    for (let round = 0; round < 25; round++) {
      for (let time = 0; time < 3; time++) {
        const { body } = await get(webproxy.http, "/x");
        expect(body).toBe(`/x v${known}`);
      }
      await get(webproxy.http, "/x", { method: "PUT" });
      known++;
    }
  });

  test("a cache that has died and is back with what it had on disk is told what has changed meanwhile", async () => {
    await using origin = await changingOrigin();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await warm(webproxy.http, "/x");
    await Bun.sleep(300); // it is copied to disk by and by
    for (let round = 2; round < 5; round++) {
      const pid = (await webproxy.stats()).cache?.pid ?? 0;
      process.kill(pid, "SIGKILL");
      await get(webproxy.http, "/x", { method: "PUT" });
      for (let time = 0; time < 6; time++) expect((await get(webproxy.http, "/x")).body).toBe(`/x v${round}`);
      await eventually(10_000, "the cache is back", async () => {
        const { cache } = await webproxy.stats();
        return cache?.state === "serving" && cache.pid !== pid;
      });
      for (let time = 0; time < 6; time++) expect((await get(webproxy.http, "/x")).body).toBe(`/x v${round}`);
    }
  });

  test("the cache is told once of what it does not hold, however often that is changed", async () => {
    await using origin = await changingOrigin();
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
    await get(webproxy.http, "/x", { method: "POST" });
    const told = async () => (await webproxy.stats()).proxy!.counters.messagesSent;
    const before = await told();
    const { host, port } = webproxy.http;
    // Beyond many looks at the cache's life, some of which are late.
    const untilMs = performance.now() + 1500;
    while (performance.now() < untilMs)
      await Promise.all(Array.from({ length: 8 }, () => fetch(`http://${host}:${port}/x`, { method: "POST" })));
    expect(await told()).toBe(before);
  });
});
