/** `webproxy explain`: what it says is what happens, with the directive that decided; and nothing happens by asking. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CountingOrigin } from "../support/counting-origin.ts";
import { field, http } from "../support/http-client.ts";
import { MAIN, Webproxy } from "../support/webproxy.ts";

interface Answer {
  outcome: string;
  cacheStatus?: string;
  because: { text: string; directive?: string; rfc?: string }[];
  stored: { isSelected: boolean; status: number; tier: string; varyNames: string[]; ttlSeconds: number }[];
  lastFetch?: { status: number; because: { directive?: string; rfc?: string } };
  fetched?: { status: number; cacheStatus: string };
}

const BODY = Buffer.alloc(700, "b");
const GONE_BY = "Thu, 01 Jan 2026 00:00:00 GMT";

/** What an origin says, what a client asks with, and what is to decide after one request of the kind. */
const CASES: readonly {
  name: string;
  response: Record<string, string>;
  status?: number;
  request?: Record<string, string>;
  outcome: string;
  decides: string;
}[] = [
  { name: "fresh", response: { "Cache-Control": "max-age=600" }, outcome: "hit", decides: "max-age=600" },
  { name: "s-maxage", response: { "Cache-Control": "max-age=0, s-maxage=60" }, outcome: "hit", decides: "s-maxage=60" },
  { name: "heuristic", response: { "Last-Modified": GONE_BY }, outcome: "hit", decides: "Last-Modified" },
  {
    name: "stale",
    response: { "Cache-Control": "max-age=0", ETag: '"1"' },
    outcome: "validate",
    decides: 'If-None-Match: "1"',
  },
  {
    name: "no-cache",
    response: { "Cache-Control": "max-age=60, no-cache", ETag: '"1"' },
    outcome: "validate",
    decides: "no-cache",
  },
  {
    name: "while-revalidate",
    response: { "Cache-Control": "max-age=0, stale-while-revalidate=600", ETag: '"1"' },
    outcome: "stale",
    decides: "stale-while-revalidate",
  },
  {
    name: "request-no-cache",
    response: { "Cache-Control": "max-age=600", ETag: '"1"' },
    request: { "Cache-Control": "no-cache" },
    outcome: "validate",
    decides: "no-cache",
  },
  {
    name: "only-if-cached",
    response: { "Cache-Control": "no-store" },
    request: { "Cache-Control": "only-if-cached" },
    outcome: "not-stored",
    decides: "only-if-cached",
  },
  {
    name: "vary",
    response: { "Cache-Control": "max-age=60", Vary: "X-Kind" },
    request: { "X-Kind": "other" },
    outcome: "fetch",
    decides: "Vary: x-kind",
  },
  { name: "no-store", response: { "Cache-Control": "no-store" }, outcome: "fetch", decides: "no-store" },
  { name: "private", response: { "Cache-Control": "private, max-age=60" }, outcome: "fetch", decides: "private" },
  {
    name: "set-cookie",
    response: { "Set-Cookie": "a=b", "Last-Modified": GONE_BY },
    outcome: "fetch",
    decides: "Set-Cookie",
  },
  { name: "vary-star", response: { "Cache-Control": "max-age=60", Vary: "*" }, outcome: "fetch", decides: "Vary: *" },
  { name: "error", response: {}, status: 500, outcome: "fetch", decides: "RFC 9111 section 3" },
];

describe("webproxy explain", () => {
  let origin: CountingOrigin;
  let webproxy: Webproxy;
  beforeAll(async () => {
    origin = CountingOrigin.start();
    for (const { name, response, status = 200 } of CASES)
      origin.set(`/${name}`, { body: BODY, headers: response, status });
    webproxy = await Webproxy.start({ origin: origin.url });
  }, 60_000);
  afterAll(async () => {
    await webproxy?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
  }, 60_000);

  async function run(...args: string[]) {
    const { host, port } = webproxy.admin;
    const child = Bun.spawn(
      [process.execPath, MAIN, "explain", "--admin-host", host, "--admin-port", String(port), ...args],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { stdout, stderr, exitCode };
  }

  async function explain(path: string, request: Record<string, string> = {}): Promise<Answer> {
    const query = new URLSearchParams({ url: path });
    for (const [name, value] of Object.entries(request)) query.append("header", `${name}: ${value}`);
    const { host, port } = webproxy.admin;
    const response = await fetch(`http://${host}:${port}/api/explain?${query}`, { headers: { connection: "close" } });
    expect(response.status).toBe(200);
    return (await response.json()) as Answer;
  }

  for (const { name, request, outcome, decides } of CASES) {
    test(`${name}: ${outcome}, by ${decides}`, async () => {
      const target = `/${name}`;
      await http(webproxy.http, target);
      const asked = origin.count(target);
      const told = await explain(target, request);
      expect(told.outcome).toBe(outcome);
      const reasons = [...told.because, ...(told.lastFetch === undefined ? [] : [told.lastFetch.because])];
      expect(reasons.flatMap(({ directive, rfc }) => [directive, rfc])).toContain(decides);
      expect(origin.count(target)).toBe(asked); // nobody was asked

      const answer = await http(webproxy.http, target, { headers: request ?? {} });
      const did = field(answer.head, "cache-status") ?? "";
      const isFromStore = outcome === "hit" || outcome === "stale";
      if (outcome === "not-stored") expect(answer.status).toBe("504");
      else expect(did.includes("; hit")).toBe(isFromStore);
      if (isFromStore) expect(told.cacheStatus).toContain("; hit");
      // Cache-Status says what was told, but for what a proxy knows by itself for a moment: that it can not be stored.
      else if (outcome === "validate" || name === "vary") expect(did).toContain(told.cacheStatus!.split("; ")[1]!);
    }, 30_000);
  }

  test("what was never asked for is not fetched by asking about it, unless it is said", async () => {
    origin.set("/new", { body: BODY, headers: { "Cache-Control": "max-age=60", "Surrogate-Key": "a b" } });
    const before = await run("/new");
    expect([before.exitCode, before.stdout.split("\n")[1]]).toEqual([0, "  MISS: the origin would be asked for it"]);
    expect(before.stdout).toContain("nothing is stored under its key (RFC 9111 section 4)");
    expect(origin.count("/new")).toBe(0);
    const after = await run("--fetch", `http://${webproxy.http.host}:${webproxy.http.port}/new`);
    expect(origin.count("/new")).toBe(1);
    expect(after.stdout).toContain("fetched just now: 200, Cache-Status: webproxy; fwd=uri-miss; stored");
    expect(after.stdout).toContain("HIT: what is stored would be sent");
    expect(after.stdout).toContain("max-age=60: fresh for 60 s from its making (RFC 9111 section 5.2.2.1)");
    expect(after.stdout).toMatch(/> 200, 700 bytes, in memory, \d s old, fresh for another \d\d s/);
    expect(after.stdout).toContain("tags a b");
  }, 60_000);

  test("knows the variants, and whom each is for", async () => {
    origin.set("/kinds", { body: BODY, headers: { "Cache-Control": "max-age=60", Vary: "X-Kind" } });
    for (const kind of ["one", "two"]) await http(webproxy.http, "/kinds", { headers: { "X-Kind": kind } });
    const { stdout } = await run("/kinds", "-H", "X-Kind: two");
    expect(stdout).toContain("HIT");
    expect(stdout).toContain("stored: 2 responses");
    expect(stdout).toMatch(/> 200.*\n.*\n.*\n {6}varies on x-kind; this is for x-kind: two/);
  }, 60_000);

  test("other methods pass, and what is no request is refused", async () => {
    expect((await run("/new", "-X", "POST")).stdout).toContain("PASS: caching has no part in it");
    for (const args of [["new"], ["/new", "-H", "nothing"], ["/new", "-X", "get"]])
      expect((await run(...args)).exitCode).toBe(2);
    const bad = await run("/new", "-H", "A: \u0001");
    expect([bad.exitCode, bad.stderr]).toEqual([1, expect.stringContaining("holds a control character")]);
  }, 60_000);
});
