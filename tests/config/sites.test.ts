/** Several sites and rules about their paths, on every way a request can go; CHECKLIST 10 and 31 to 35 hold with them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { DecidingOrigin, type SeenRequest } from "../caching/origin.ts";
import { get, purge, warm } from "../caching/support.ts";
import { getfile } from "../support/getfile-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { ConfigFile } from "./support.ts";

setDefaultTimeout(60_000);

const FRESH = { "Cache-Control": "max-age=600" };

let a: DecidingOrigin;
let b: DecidingOrigin;
let config: ConfigFile;
let webproxy: Webproxy;

beforeAll(async () => {
  let served = 0;
  const answer = (who: string) => (request: SeenRequest) => {
    served++;
    const { target, headers } = request;
    // What a header asks for, so that each test makes its own responses; else fresh.
    const control = headers["x-control"];
    const own = control === undefined ? FRESH : { "Cache-Control": String(control) };
    const cookie: Record<string, string> = headers["x-cookie"] === undefined ? {} : { "Set-Cookie": "s=1" };
    const seen = ["x-plan", "x-forwarded-host"].map((name) => headers[name] ?? "").join(",");
    return { headers: { ...own, ...cookie }, body: `${who} ${target} ${headers.host} ${seen} ${served}` };
  };
  a = await DecidingOrigin.start(answer("a"));
  b = await DecidingOrigin.start(answer("b"));
  config = new ConfigFile({
    origin: a.url,
    sites: [
      {
        name: "shop",
        hosts: ["shop.example", "*.shop.example"],
        origin: `${b.url}/base`,
        rules: [
          { path: ["/account", "/account/*"], bypass: true },
          { path: "*.css", ttl: "10m" },
          { path: "/counted", key: { query: { only: ["id"] }, forward: "counted" } },
          { path: "/all", key: { query: { ignore: ["utm_*"] }, forward: "all" } },
          { path: "/plan", key: { headers: ["X-Plan"] } },
          { path: "/stale", ttl: 0, staleWhileRevalidate: "10m" },
        ],
      },
      { name: "same", hosts: "same.example", origin: `${b.url}/base` },
      {
        name: "files",
        path: "/files",
        stripPath: true,
        origin: `${b.url}/under`,
        rules: [{ path: "/files/private/*", bypass: true }],
      },
      { name: "ported", hosts: "ported.example:8443", origin: `${b.url}/ported` },
      { name: "named", hosts: "named.example", path: "/deep", origin: b.url },
    ],
  });
  webproxy = await Webproxy.start({ args: ["--config", config.path], origin: a.url });
});

afterAll(async () => {
  await webproxy?.[Symbol.asyncDispose]();
  await a?.[Symbol.asyncDispose]();
  await b?.[Symbol.asyncDispose]();
  config?.[Symbol.dispose]();
});

const ask = (host: string, path: string, headers: Record<string, string> = {}, method = "GET") =>
  get(webproxy.http, path, { headers: { Host: host, ...headers }, method });

describe("sites", () => {
  test("a request goes to the origin of its host and path, and what is stored there is nobody else's (CHECKLIST 33, 35)", async () => {
    for (let round = 0; round < 2; round++) {
      expect((await ask("shop.example", "/x")).body).toStartWith("b /base/x ");
      expect((await ask("SHOP.example.:81", "/x")).body).toStartWith("b /base/x ");
      expect((await ask("www.shop.example", "/x")).body).toStartWith("b /base/x ");
      expect((await ask("other.example", "/x")).body).toStartWith("a /x ");
      expect((await ask("named.example", "/deep/x")).body).toStartWith("b /deep/x ");
      expect((await ask("named.example", "/deeper")).body).toStartWith("a /deeper ");
      expect((await ask("other.example", "/files/x?y")).body).toStartWith("b /under/x?y ");
      expect((await ask("other.example", "/%66iles/x?y")).body).toStartWith("b /under/x?y ");
    }
    expect([b.count("/base/x"), a.count("/x"), b.count("/under/x?y"), b.count("/deep/x")]).toEqual([1, 1, 1, 1]);
    // The same origin and target, but another site: its rules may differ.
    const other = await ask("same.example", "/x");
    expect([other.body.startsWith("b /base/x "), other.cache?.startsWith("fwd=uri-miss")]).toEqual([true, true]);
  });

  test("however a host is spelled, it is one site, of which one response is stored, changed and purged (CHECKLIST 33)", async () => {
    const spellings = ["shop.example", "SHOP.example", "shop.Example.", "shop.example:80", "SHOP.EXAMPLE.:443"];
    const all = [...spellings, ...spellings.map((host) => `www.${host}`)];
    for (const host of all) expect((await ask(host, "/spelled")).body).toStartWith("b /base/spelled ");
    expect(b.count("/base/spelled")).toBe(1);
    for (const { headers } of b.requests) expect(headers.host).toBe(new URL(b.url).host);
    for (const host of spellings) {
      const before = b.count("/base/spelled");
      await ask(host, "/spelled", {}, "POST");
      expect((await ask("shop.example", "/spelled")).cache).toStartWith("fwd=uri-miss");
      expect((await ask("shop.example", "/spelled")).cache).toStartWith("hit");
      expect(await purge(webproxy, { url: `http://${host}/spelled` })).toBe(1);
      expect((await ask("shop.example", "/spelled")).cache).toStartWith("fwd=uri-miss");
      expect(b.count("/base/spelled")).toBe(before + 3);
    }
    for (const host of ["ported.example:8443", "Ported.example.:8443"])
      expect((await ask(host, "/x")).body).toStartWith("b /ported/x ");
    for (const host of ["ported.example", "ported.example:443", "xshop.example", "shop.example.evil", "shop.example.."])
      expect((await ask(host, "/x")).body).toStartWith("a /x ");
  });

  test("the hot tier keeps them apart too", async () => {
    for (const host of ["shop.example", "same.example", "other.example"]) {
      for (let round = 0; round < 12; round++) await ask(host, "/hot");
    }
    for (let round = 0; round < 12; round++) {
      const bodies = await Promise.all(
        ["shop.example", "same.example", "other.example"].map((host) => ask(host, "/hot")),
      );
      expect(bodies.map(({ cache }) => cache?.startsWith("hit"))).toEqual([true, true, true]);
      expect(new Set(bodies.map(({ body }) => body)).size).toBe(3);
      expect(bodies.map(({ body }) => body.split(" ")[0])).toEqual(["b", "b", "a"]);
    }
  });

  test("GETFILE names no host: it reaches the sites that are for any, and can leave none (CHECKLIST 44)", async () => {
    const fetched = async (path: string) => {
      const chunks: Buffer[] = [];
      const { status } = await getfile(webproxy.getfile, path, {
        onBody: (chunk) => void chunks.push(Buffer.from(chunk)),
      });
      return `${status} ${Buffer.concat(chunks).toString().split(" ").slice(0, 2).join(" ")}`;
    };
    for (let round = 0; round < 2; round++) {
      expect(await fetched("/files/g")).toBe("OK b /under/g");
      expect(await fetched("/g")).toBe("OK a /g");
      expect(await fetched("/files/../g")).toStartWith("FILE_NOT_FOUND");
    }
    expect([b.count("/under/g"), a.count("/g")]).toEqual([1, 1]);
    await fetched("/files/private/g");
    expect(await fetched("/files/private/g")).toBe("OK b /under/private/g");
    expect(b.count("/under/private/g")).toBe(2);
  });

  test("a dot segment under a site's path is refused; an unsafe method goes where the GET would", async () => {
    expect((await ask("other.example", "/files/%2e%2e/x")).status).toBe("400");
    expect((await ask("shop.example", "/../x")).status).toBe("400");
    const before = [a, b].map(({ requests }) => requests.length);
    for (const segment of ["..;", "%2e%2e;", "..;v=1", "..%3b", ".%2E%3B", "..%00"])
      for (const method of ["GET", "POST"])
        expect((await ask("other.example", `/files/${segment}/admin`, {}, method)).status).toBe("400");
    expect([a, b].map(({ requests }) => requests.length)).toEqual(before);
    expect((await ask("other.example", "/files/a..;b/%252e%252e;/x")).body).toStartWith(
      "b /under/a..;b/%252e%252e;/x ",
    );
    expect((await ask("shop.example", "/post", {}, "POST")).body).toStartWith("b /base/post ");
  });

  test("an absolute target, and not Host, says which site it is; no Host, or two, are refused (CHECKLIST 10)", async () => {
    expect(
      (await get(webproxy.http, "http://shop.example/abs", { headers: { Host: "other.example" } })).body,
    ).toStartWith("b /base/abs ");
    expect((await get(webproxy.http, "/x", { headers: { Host: "shop.example, other.example" } })).status).toBe("400");
  });

  test("no field chooses another site, or gets into what others are sent (CHECKLIST 31)", async () => {
    const lies = {
      "X-Forwarded-Host": "shop.example",
      Forwarded: "host=shop.example",
      "X-Original-URL": "/account/me",
    };
    const first = await ask("other.example", "/lies", lies);
    expect(first.body).toStartWith("a /lies ");
    expect(first.body).not.toContain("shop.example");
    expect((await ask("other.example", "/lies")).body).toBe(first.body);
  });

  test("an unsafe request invalidates in its own site only", async () => {
    for (const host of ["shop.example", "same.example"]) {
      await ask(host, "/changed");
      await ask(host, "/changed");
    }
    await ask("shop.example", "/changed", {}, "POST");
    expect((await ask("shop.example", "/changed")).cache).toStartWith("fwd=uri-miss");
    expect((await ask("same.example", "/changed")).cache).toStartWith("hit");
  });

  test("a purge by URL is for the site that its host belongs to, one by path for all", async () => {
    for (const host of ["shop.example", "same.example", "other.example"]) await ask(host, "/purged");
    expect(await purge(webproxy, { url: "http://shop.example/purged" })).toBe(1);
    expect((await ask("same.example", "/purged")).cache).toStartWith("hit");
    await ask("shop.example", "/purged");
    expect(await purge(webproxy, { url: "/purged" })).toBe(3);
    await ask("other.example", "/files/purged");
    expect(await purge(webproxy, { prefix: "http://other.example/files/pur" })).toBe(1);
  });
});

describe("rules", () => {
  test("bypass: nothing is stored and nothing stored answers, past the cache", async () => {
    for (let round = 1; round <= 3; round++) {
      const got = await ask("shop.example", "/account/me");
      expect(got.cache).toStartWith("fwd=bypass");
      expect(b.count("/base/account/me")).toBe(round);
    }
    expect(b.last("/base/account/me")?.headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect((await ask("same.example", "/account/me")).cache).toStartWith("fwd=uri-miss");
  });

  test("a path that could be read as another one is not kept by a rule about style sheets (web cache deception)", async () => {
    for (const path of ["/account;x.css", "/account%2fx.css", "/account%3Fx.css", "/z//x.css", "/%2561ccount/x.css"]) {
      const first = await ask("shop.example", path, { "X-Control": "max-age=0" });
      const second = await ask("shop.example", path, { "X-Control": "max-age=0" });
      expect([path, first.cache, second.cache]).toEqual([path, "fwd=bypass", "fwd=bypass"]);
      expect(second.body).not.toBe(first.body);
    }
  });

  test("ttl: in place of the origin's max-age, and never against no-store, private, Authorization or a cookie (CHECKLIST 34)", async () => {
    const css = { "X-Control": "max-age=0" };
    await ask("shop.example", "/a.css", css);
    await warm(webproxy.http, "/a.css");
    const hit = await ask("shop.example", "/a.css", css);
    expect(hit.cache).toStartWith("hit; ttl=");
    expect(b.count("/base/a.css")).toBe(1);
    expect((await ask("same.example", "/a.css", css)).cache).not.toStartWith("hit");
    for (const [path, headers] of [
      ["/b.css", { "X-Control": "no-store" }],
      ["/c.css", { "X-Control": "private" }],
      ["/d.css", { "X-Control": "max-age=0", Authorization: "Basic me" }],
      ["/e.css", { "X-Control": "max-age=0", "X-Cookie": "1" }],
    ] as const) {
      const first = await ask("shop.example", path, headers);
      expect([path, (await ask("shop.example", path, headers)).body === first.body]).toEqual([path, false]);
    }
  });

  test("key.query: what does not count is not in the key; the origin gets what the rule says (CHECKLIST 32)", async () => {
    const first = await ask("shop.example", "/counted?x=1&id=7&y");
    expect(first.body).toStartWith("b /base/counted?id=7 ");
    for (const query of ["id=7", "id=7&utm=2", "z&id=7"])
      expect((await ask("shop.example", `/counted?${query}`)).body).toBe(first.body);
    for (const query of ["id=8", "%69d=7", "id=7&id=8", "a=1;id=7", ""])
      expect((await ask("shop.example", `/counted?${query}`)).body).not.toBe(first.body);
    expect(b.count("/base/counted?id=7")).toBe(1);
    const all = await ask("shop.example", "/all?utm_source=x&id=1");
    expect(all.body).toStartWith("b /base/all?utm_source=x&id=1 ");
    expect((await ask("shop.example", "/all?id=1&utm_medium=y")).body).toBe(all.body);
    expect((await ask("shop.example", "/all?id=2")).body).not.toBe(all.body);
    // An unsafe request to any of its spellings.
    await ask("shop.example", "/all?utm_campaign=z&id=1", {}, "POST");
    expect((await ask("shop.example", "/all?id=1")).body).not.toBe(all.body);
  });

  test("whatever the query, two requests with one key have been one request to the origin (CHECKLIST 32, a property)", async () => {
    const pieces = ["id", "%69d", "utm", "=1", "=2", "&", ";", "+", "%zz", "/"];
    const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`keys: SEED=${seed}`);
    let state = seed;
    const next = (count: number) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >> 8) % count;
    };
    const bodies = new Map<string, string>();
    for (let round = 0; round < 150; round++) {
      const query = Array.from({ length: 1 + next(6) }, () => pieces[next(pieces.length)]).join("");
      const { body } = await ask("shop.example", `/counted?${query}`);
      const [, forwarded = ""] = body.split(" ");
      // One target at the origin, one response: and none for two.
      expect([query, bodies.get(forwarded) ?? body]).toEqual([query, body]);
      bodies.set(forwarded, body);
    }
  });

  test("key.headers: one response for each value, as if the origin had named it in Vary", async () => {
    const gold = await ask("shop.example", "/plan", { "X-Plan": "gold" });
    const tin = await ask("shop.example", "/plan", { "X-Plan": "tin" });
    const none = await ask("shop.example", "/plan");
    expect(new Set([gold.body, tin.body, none.body]).size).toBe(3);
    expect((await ask("shop.example", "/plan", { "X-Plan": "gold" })).body).toBe(gold.body);
    expect((await ask("shop.example", "/plan", { "X-Plan": "tin", "X-Other": "x" })).body).toBe(tin.body);
    expect((await ask("shop.example", "/plan")).body).toBe(none.body);
  });

  test("stale windows: sent stale while it is validated, without the origin having said so", async () => {
    const first = await ask("shop.example", "/stale");
    const second = await ask("shop.example", "/stale");
    expect([second.body, second.cache?.startsWith("hit")]).toEqual([first.body, true]);
  });
});

test("where every site has its own origin, what belongs to none is refused, and said to be", async () => {
  using few = new ConfigFile({ sites: [{ name: "one", hosts: "one.example", origin: a.url }] });
  await using alone = await Webproxy.start({ args: ["--config", few.path] });
  const one = (host: string) => get(alone.http, "/one", { headers: { Host: host } });
  expect((await one("one.example")).body).toStartWith("a /one ");
  expect((await one("two.example")).status).toBe("421");
  expect((await getfile(alone.getfile, "/one")).status).toBe("FILE_NOT_FOUND");
});

test("a proxy and a cache that were given different sites do not mix them up: the cache refuses, and says why", async () => {
  await using proxy = await Webproxy.start({ command: "proxy", origin: b.url });
  const cache = await Webproxy.start({ command: "cache", origin: a.url, channel: proxy.channel });
  try {
    // It may be looking for its cache just now, and asks the origin while that is away.
    const refused = async () => (await get(proxy.http, "/mixed")).status === "502";
    await eventually(10_000, "a refusal", refused);
    expect(a.count("/mixed")).toBe(0);
    expect((await getfile(proxy.getfile, "/mixed")).status).toBe("ERROR");
  } finally {
    const { stderr } = await cache.stop();
    cache.directory[Symbol.dispose]();
    expect(stderr).toContain("start both with the same configuration");
  }
});
