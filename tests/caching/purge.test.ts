/** Purge: by URL, prefix, pattern, tag, all; hard, soft, dry run; of every shard and every hot tier; and of what is still on its way in. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { MAIN, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { DecidingOrigin } from "./origin.ts";
import { get, purge, warm } from "./support.ts";

const PATHS = ["/a/1", "/a/2", "/a/2?x=1", "/b/1", "/b/style.css"];

/** Every response says its version; tags are the path's first letter and "all-of-them". */
async function versionedOrigin(): Promise<{ origin: DecidingOrigin; next: () => void }> {
  let version = 1;
  const origin = await DecidingOrigin.start(({ target, headers }) => {
    const etag = `"${target}-${version}"`;
    const fields = {
      "Cache-Control": "max-age=600",
      ETag: etag,
      "Surrogate-Key": `${target[1]} all-of-them`,
      "Cache-Groups": '"group"',
    };
    if (headers["if-none-match"] === etag) return { status: 304, headers: fields };
    return { headers: fields, body: `${target} v${version}` };
  });
  return { origin, next: () => version++ };
}

/** Which of the paths are answered anew, each thread of the proxy asked several times. */
async function renewed(webproxy: Webproxy): Promise<string[]> {
  const found = new Set<string>();
  for (const path of PATHS) {
    for (let time = 0; time < 6; time++) {
      const { body } = await get(webproxy.http, path);
      if (body !== `${path} v1`) found.add(path);
    }
  }
  return [...found];
}

setDefaultTimeout(60_000);

describe("purge", () => {
  test.each([
    ["one URL", { url: "/a/2" }, ["/a/2"]],
    ["one URL, as clients write it", { url: "http://any.example:8080/a/2?x=1" }, ["/a/2?x=1"]],
    ["a prefix", { prefix: "/a/" }, ["/a/1", "/a/2", "/a/2?x=1"]],
    ["a pattern", { pattern: "/*/*.css" }, ["/b/style.css"]],
    ["a surrogate key", { tag: "b" }, ["/b/1", "/b/style.css"]],
    ["a group", { tag: "group" }, PATHS],
    ["all", { all: true }, PATHS],
    ["nothing", { tag: "c" }, []],
  ] as const)("%s: just that, with its count, in every shard and every hot tier", async (_, wanted, expected) => {
    const { origin, next } = await versionedOrigin();
    await using _origin = origin;
    await using webproxy = await Webproxy.start({ origin: origin.url });
    for (const path of PATHS) await warm(webproxy.http, path);
    next();
    expect(await purge(webproxy, { ...wanted, dryRun: true })).toBe(expected.length);
    expect(await renewed(webproxy)).toEqual([]);
    expect(await purge(webproxy, wanted)).toBe(expected.length);
    expect(await renewed(webproxy)).toEqual([...expected]);
    expect(await purge(webproxy, { ...wanted, dryRun: true })).toBe(expected.length);
  });

  test("soft: what is stored is validated, and what has not changed is not sent again", async () => {
    const { origin, next } = await versionedOrigin();
    await using _origin = origin;
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await warm(webproxy.http, "/a/1");
    expect(await purge(webproxy, { url: "/a/1", soft: true })).toBe(1);
    expect((await get(webproxy.http, "/a/1")).cache).toStartWith("fwd=stale; fwd-status=304");
    expect((await get(webproxy.http, "/a/1")).cache).toStartWith("hit");
    next();
    expect(await purge(webproxy, { all: true, soft: true })).toBe(1);
    expect((await get(webproxy.http, "/a/1")).body).toBe("/a/1 v2");
    // The origin is gone: what a soft purge has left is better than nothing; a hard one has left nothing.
    expect(await purge(webproxy, { all: true, soft: true })).toBe(1);
    origin.answer = () => ({ dies: true });
    expect((await get(webproxy.http, "/a/1")).body).toBe("/a/1 v2");
    expect(await purge(webproxy, { all: true })).toBe(1);
    expect((await get(webproxy.http, "/a/1")).status).toBe("502");
  });

  test.each([{ url: "/slow" }, { tag: "old" }, { all: true }])(
    "%j: a fill that began before does not bring the purged body back",
    async (wanted) => {
      const gate = Promise.withResolvers<void>();
      await using origin = await DecidingOrigin.start(() => ({
        headers: { "Cache-Control": "max-age=600", "Cache-Tag": "old" },
        body: "old body",
        pause: { afterBytes: 3, until: gate.promise },
      }));
      await using webproxy = await Webproxy.start({ origin: origin.url });
      const before = get(webproxy.http, "/slow");
      await eventually(5_000, "the fill has begun", () => origin.count("/slow") === 1);
      await Bun.sleep(50); // its head has arrived: what is purged is on its way in
      await purge(webproxy, wanted);
      origin.answer = () => ({ headers: { "Cache-Control": "max-age=600" }, body: "new body" });
      expect((await get(webproxy.http, "/slow")).body).toBe("new body"); // does not wait for the old one
      gate.resolve();
      expect((await before).body).toBe("old body"); // who asked before the purge gets what there was
      for (let time = 0; time < 8; time++) expect((await get(webproxy.http, "/slow")).body).toBe("new body");
      expect(origin.count("/slow")).toBe(2);
    },
  );

  test("a purge while the head is still awaited, and while a validation is", async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    await using origin = await DecidingOrigin.start(() => ({
      headers: { "Cache-Control": "max-age=600", ETag: '"old"' },
      body: "old",
      until: gates[0].promise,
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    const first = get(webproxy.http, "/x");
    await eventually(5_000, "the fill has begun", () => origin.count("/x") === 1);
    await purge(webproxy, { tag: "unknown-yet" });
    gates[0].resolve();
    expect((await first).body).toBe("old");
    origin.answer = () => ({ headers: { "Cache-Control": "max-age=600", ETag: '"old"' }, body: "old" });
    await warm(webproxy.http, "/x");
    await purge(webproxy, { url: "/x", soft: true });
    origin.answer = () => ({ status: 304, headers: { ETag: '"old"' }, until: gates[1].promise });
    const validating = get(webproxy.http, "/x");
    const asked = origin.count("/x") + 1;
    await eventually(5_000, "the validation has begun", () => origin.count("/x") === asked);
    await purge(webproxy, { url: "/x", soft: true });
    gates[1].resolve();
    expect((await validating).body).toBe("old");
    origin.answer = () => ({ headers: { "Cache-Control": "max-age=600", ETag: '"new"' }, body: "new" });
    expect((await get(webproxy.http, "/x")).body).toBe("new"); // the 304 from before the purge has renewed nothing
  });

  test("webproxy purge says how many, and refuses what it can not do", async () => {
    const { origin } = await versionedOrigin();
    await using _origin = origin;
    await using webproxy = await Webproxy.start({ origin: origin.url });
    for (const path of PATHS) await get(webproxy.http, path);
    const run = async (...args: string[]) => {
      const port = String(webproxy.admin.port);
      const child = Bun.spawn([process.execPath, MAIN, "purge", "--admin-port", port, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      const [out, err, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      return { out: out.trim(), err, code };
    };
    expect(await run("--prefix", "/a/", "--dry-run")).toMatchObject({
      code: 0,
      out: "would purge 3 responses, 25 bytes of body",
    });
    expect(await run("http://localhost/a/1")).toMatchObject({ code: 0, out: "purged 1 response, 7 bytes of body" });
    expect(await run("--all", "--soft", "--json")).toMatchObject({
      code: 0,
      out: JSON.stringify({ purged: 4, bodyBytes: 40, soft: true, dryRun: false }),
    });
    expect(await run()).toMatchObject({ code: 2, out: "" });
    expect(await run("/a", "--tag", "b")).toMatchObject({ code: 2, out: "" });
    const nobody = await run("--all", "--admin-port", "1");
    expect(nobody).toMatchObject({ code: 1, out: "" });
    expect(nobody.err).toContain("--admin-port");
  });
});
