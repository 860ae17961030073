/** `--origin` given more than once: the origins take turns, one that fails is left alone, and what is stored is the same whichever has answered. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { RawOrigin } from "./wire.ts";

const PATHS = Array.from({ length: 20 }, (_, index) => `/file-${index}`);
const BODY = Buffer.from("the same, whoever says it");

/** All that several origins serve, and a path that says which of them has. */
function replica(name: string, port = 0): CountingOrigin {
  const headers = { "Cache-Control": "max-age=600" };
  const files = Object.fromEntries(PATHS.map((path) => [`/base${path}`, { body: BODY, headers }]));
  const who = { body: Buffer.from(name), headers: { "Cache-Control": "no-store" } };
  return CountingOrigin.start({ ...files, "/base/who": who }, port);
}

const given = (...origins: { url: string }[]) => origins.flatMap(({ url }) => ["--origin", `${url}/base`]);

/** Who answers, over so many requests past the cache and as many through it. */
async function whoAnswers(webproxy: Webproxy, requests: number): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let index = 0; index < requests; index++) {
    for (const method of ["GET", "DELETE"]) {
      let body = "";
      const onBody = (chunk: Uint8Array) => {
        body += Buffer.from(chunk).toString();
      };
      const { status } = await http(webproxy.http, "/who", { method, onBody });
      seen.add(status === "200" ? body : `${status}`);
    }
  }
  return seen;
}

async function admin(webproxy: Webproxy, path: string): Promise<string> {
  const url = `http://${webproxy.admin.host}:${webproxy.admin.port}${path}`;
  return (await fetch(url, { headers: { connection: "close" } })).text();
}

test("several origins take turns, for fills and past the cache; one that dies is missed by nobody, and is taken back", async () => {
  await using a = replica("a");
  await using b = replica("b");
  await using webproxy = await Webproxy.start({ args: given(a, b) });
  expect(await whoAnswers(webproxy, 8)).toEqual(new Set(["a", "b"]));
  const [one, other] = (await webproxy.stats()).origins;
  expect([one!.origin, other!.origin]).toEqual([a.url, b.url]);
  expect([one!.failures, other!.failures]).toEqual([0, 0]);
  await eventually(10_000, "both are counted", async () =>
    (await webproxy.stats()).origins.every(({ asked }) => asked > 4),
  );

  const { port } = b;
  await b[Symbol.asyncDispose]();
  expect(await whoAnswers(webproxy, 8)).toEqual(new Set(["a"]));
  await eventually(10_000, "its failures are counted", async () => (await webproxy.stats()).origins[1]!.failures > 0);
  const failing = `origin ${b.url}`;
  await eventually(20_000, "it shows that one is left alone", async () => {
    await whoAnswers(webproxy, 2);
    return (JSON.parse(await admin(webproxy, "/readyz")) as { degraded: string[] }).degraded.includes(failing);
  });
  expect(await admin(webproxy, "/metrics")).toMatch(
    new RegExp(`^webproxy_origin_failures_total\\{origin="${b.url}"\\} [1-9]`, "m"),
  );
  for (const path of PATHS)
    expect(await getfile(webproxy.getfile, path)).toMatchObject({ status: "OK", isComplete: true });
  await webproxy.says(`${b.url} fails: no connection to the origin`);

  await using again = replica("b again", port);
  await eventually(60_000, "it is taken back", async () => (await whoAnswers(webproxy, 2)).has("b again"));
  expect(await whoAnswers(webproxy, 8)).not.toContain("502");
  expect(again.requests.length).toBeGreaterThan(0);
  // Each thread finds out by itself, by a request that comes to it.
  await eventually(60_000, "the log says that it answers again", async () => {
    await whoAnswers(webproxy, 2);
    return webproxy.stderr.includes(`${b.url} answers again`);
  });
}, 120_000);

test("what one of them has answered is a hit afterwards, also after a restart with other replicas beside the same first origin", async () => {
  await using a = replica("a");
  await using b = replica("b");
  await using first = await Webproxy.start({ args: given(a, b) });
  for (const path of PATHS) expect(await http(first.http, path)).toMatchObject({ status: "200", isComplete: true });
  const files = (origin: CountingOrigin) =>
    origin.requests.filter(({ target }) => target.startsWith("/base/file")).length;
  expect([files(a) > 0, files(b) > 0, files(a) + files(b)]).toEqual([true, true, PATHS.length]);
  for (const path of PATHS) expect((await http(first.http, path)).head).toMatch(/^Cache-Status: webproxy; hit/im);
  expect(files(a) + files(b)).toBe(PATHS.length);
  await eventually(20_000, "all is on disk", async () => {
    const { cache } = await first.stats();
    return (cache?.counters.diskBytes ?? 0) >= PATHS.length * BODY.length;
  });
  await first.stop();

  await using c = replica("c");
  const directory = first.directory.file("cache");
  await using second = await Webproxy.start({ args: [...given(a, c), "--cache-dir", directory] });
  for (const path of PATHS) expect((await http(second.http, path)).head).toMatch(/^Cache-Status: webproxy; hit/im);
  expect([files(a) + files(b), files(c)]).toEqual([PATHS.length, 0]);
}, 120_000);

test("a request that one of them leaves without an answer goes to another if it may be repeated, and is a 502 if not", async () => {
  using silent = new RawOrigin(async (wire) => {
    await wire.head();
    wire.reset();
  });
  await using good = replica("good");
  await using webproxy = await Webproxy.start({ args: [...given(silent, good), "--threads", "1"] });
  const content = { "Content-Length": "0" };
  expect(await http(webproxy.http, "/who", { method: "POST", headers: content })).toMatchObject({ status: "502" });
  expect(await http(webproxy.http, "/who", { method: "POST", headers: content })).toMatchObject({ status: "200" });
  expect(await whoAnswers(webproxy, 4)).toEqual(new Set(["good"]));
  expect(good.count("/base/who")).toBe(9);
}, 60_000);

test("when all of them are down each request says so, at once, and they are found again", async () => {
  const a = replica("a");
  const b = replica("b");
  await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
  await using webproxy = await Webproxy.start({ args: given(a, b) });
  const refused = await http(webproxy.http, "/who");
  expect(refused.status).toBe("502");
  expect(refused.head).toMatch(/^Proxy-Status: webproxy; error=/im);
  expect(await whoAnswers(webproxy, 4)).toEqual(new Set(["502"]));
  await using _back = replica("b", b.port);
  await eventually(60_000, "the one that is back answers everything", async () => {
    const seen = await whoAnswers(webproxy, 4);
    return seen.size === 1 && seen.has("b");
  });
}, 120_000);

test("a config file lists them; the paths of several have to be the same", async () => {
  await using a = replica("a");
  await using b = replica("b");
  await using webproxy = await Webproxy.start({
    args: ["--origin", `${a.url}/base`, "--origin", `${b.url}/base/`],
  });
  writeFileSync(webproxy.directory.file("c.json"), JSON.stringify({ origin: [`${a.url}/base`, `${b.url}/base`] }));
  await using other = await Webproxy.start({ args: ["--config", webproxy.directory.file("c.json")] });
  expect(await whoAnswers(webproxy, 4)).toEqual(new Set(["a", "b"]));
  expect(await whoAnswers(other, 4)).toEqual(new Set(["a", "b"]));
  const refusal = await Webproxy.refusal({ args: ["--origin", a.url, "--origin", `${b.url}/base`] });
  expect(refusal).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("their paths have to be the same") });
}, 120_000);
