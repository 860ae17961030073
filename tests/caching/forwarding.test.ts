/** What the origin is told of the client whose request causes a fetch, and what follows from it for what is stored. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { ConfigFile } from "../config/support.ts";
import { getfile } from "../support/getfile-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { DecidingOrigin, type SeenRequest } from "./origin.ts";
import { get } from "./support.ts";

setDefaultTimeout(60_000);

const FRESH = { "Cache-Control": "max-age=600" };
const TRUSTING = ["--trust-proxy", "127.0.0.1"];
/** Clients behind a proxy that is trusted. */
const ONE = { "X-Forwarded-For": "192.0.2.1" };
const OTHER = { "X-Forwarded-For": "192.0.2.2" };

const NAMES = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
const told = ({ headers }: SeenRequest) => NAMES.map((name) => headers[name]);

test("a fetch says for whom it is, by whichever wire and method; a client's own word counts nothing, and scheme and host go with nothing", async () => {
  await using origin = await DecidingOrigin.start(() => ({ headers: FRESH, body: "x" }));
  await using webproxy = await Webproxy.start({ origin: origin.url });
  const lies = { ...ONE, "X-Forwarded-Host": "evil", "X-Forwarded-Proto": "https", Forwarded: "for=evil;host=evil" };
  await get(webproxy.http, "/get", { headers: lies });
  await get(webproxy.http, "/head", { method: "HEAD", headers: lies });
  await get(webproxy.http, "/range", { headers: { ...lies, Range: "bytes=0-0" } });
  await getfile(webproxy.getfile, "/file");
  expect(origin.requests).toHaveLength(4);
  for (const request of origin.requests)
    expect(told(request)).toEqual(["for=127.0.0.1", "127.0.0.1", undefined, undefined]);
});

test("what is stored answers all clients, and who has a stale one validated is the one who is named", async () => {
  await using origin = await DecidingOrigin.start(({ headers }) => ({
    headers: { "Cache-Control": "max-age=0, stale-while-revalidate=600", ETag: '"e"' },
    ...(headers["if-none-match"] !== undefined && { status: 304 }),
    body: "x",
  }));
  await using webproxy = await Webproxy.start({ origin: origin.url, args: TRUSTING });
  await get(webproxy.http, "/x", { headers: ONE });
  const stale = await get(webproxy.http, "/x", { headers: OTHER });
  expect(stale).toMatchObject({ status: "200", body: "x" });
  expect(stale.cache).toStartWith("hit");
  await eventually(10_000, "the stale one is validated", () => origin.requests.length === 2);
  expect(told(origin.requests[1]!).slice(0, 2)).toEqual(["for=127.0.0.1", "192.0.2.2, 127.0.0.1"]);
});

test("of a trusted proxy's Forwarded the addresses go on, and not the host by which an origin would answer all", async () => {
  await using origin = await DecidingOrigin.start(() => ({ headers: FRESH, body: "x" }));
  await using webproxy = await Webproxy.start({ origin: origin.url, args: TRUSTING });
  const Forwarded = 'by=gate;For="[2001:db8::1]:80";host="a, for=evil";proto=https, for=192.0.2.9';
  await get(webproxy.http, "/x", { headers: { Forwarded, "X-Forwarded-Host": "evil" } });
  expect(told(origin.requests[0]!)).toEqual([
    'for="[2001:db8::1]:80", for=192.0.2.9, for=127.0.0.1',
    "127.0.0.1",
    undefined,
    undefined,
  ]);
});

test("Vary: X-Forwarded-For keeps clients apart by what the origin was told, past and through the hot tier", async () => {
  await using origin = await DecidingOrigin.start(({ headers }) => ({
    headers: { ...FRESH, Vary: "X-Forwarded-For" },
    body: String(headers["x-forwarded-for"]),
  }));
  await using webproxy = await Webproxy.start({ origin: origin.url, args: TRUSTING });
  for (let round = 0; round < 3; round++) {
    for (const [headers, body] of [
      [ONE, "192.0.2.1, 127.0.0.1"],
      [OTHER, "192.0.2.2, 127.0.0.1"],
    ] as const) {
      const got = await get(webproxy.http, "/x", { headers });
      expect(got.body).toBe(body);
      if (round > 0) expect(got.cache).toStartWith("hit");
    }
  }
  expect(origin.count("/x")).toBe(2);
});

test("scheme and host are told where a rule counts the field, and then tell responses apart", async () => {
  await using origin = await DecidingOrigin.start(({ headers }) => ({
    headers: FRESH,
    body: `${headers["x-forwarded-proto"]} ${headers["x-forwarded-host"]}`,
  }));
  const headers = ["X-Forwarded-Proto", "X-Forwarded-Host"];
  using config = new ConfigFile({ origin: origin.url, rules: [{ path: "/counted", key: { headers } }] });
  await using webproxy = await Webproxy.start({ args: ["--config", config.path, ...TRUSTING] });
  const ask = async (path: string, proto: string, host: string) =>
    (await get(webproxy.http, path, { headers: { "X-Forwarded-Proto": proto, Host: host } })).body;
  for (let round = 0; round < 3; round++) {
    expect(await ask("/counted", "http", "a.example")).toBe("http a.example");
    expect(await ask("/counted", "https", "a.example")).toBe("https a.example");
    expect(await ask("/counted", "https", "b.example")).toBe("https b.example");
    expect(await ask("/other", "https", "b.example")).toBe("undefined undefined");
  }
  expect([origin.count("/counted"), origin.count("/other")]).toEqual([3, 1]);
});
