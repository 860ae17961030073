/** Request collapsing: CHECKLIST 67, and what releases those who wait. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { DecidingOrigin } from "./origin.ts";
import { get } from "./support.ts";

const CLIENTS = 1000;
const BODY = "b".repeat(100_000);

setDefaultTimeout(60_000);

describe("collapsing", () => {
  test("CHECKLIST 67: a thousand clients at a miss, and at expiry, are one origin request each; the first leaving hurts nobody", async () => {
    let gate = Promise.withResolvers<void>();
    let version = 1;
    await using origin = await DecidingOrigin.start(() => ({
      headers: { "Cache-Control": "max-age=600", ETag: `"${version}"` },
      body: `${version}${BODY}`,
      until: gate.promise,
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--segments", "32"] });
    for (const round of [1, 2]) {
      version = round;
      gate = Promise.withResolvers<void>();
      const leaving = new AbortController();
      const { host, port } = webproxy.http;
      const first = fetch(`http://${host}:${port}/x`, { signal: leaving.signal }).catch(() => undefined);
      await eventually(5_000, "the first has asked", () => origin.count("/x") === round);
      const others = Array.from({ length: CLIENTS }, () => get(webproxy.http, "/x", { timeoutMs: 60_000 }));
      await collapsed(webproxy, CLIENTS * round);
      leaving.abort();
      await first;
      gate.resolve();
      for (const { status, body } of await Promise.all(others)) {
        expect(status).toBe("200");
        expect(body === `${round}${BODY}`).toBe(true);
      }
      expect(origin.count("/x")).toBe(round);
      if (round === 1) await staleNow(webproxy);
    }
  }, 120_000);

  test("an answer that is for one client only releases the others at once, and is remembered: nobody waits in turn", async () => {
    const gate = Promise.withResolvers<void>();
    let open = 0;
    let most = 0;
    await using origin = await DecidingOrigin.start(({ headers }) => {
      open++;
      most = Math.max(most, open);
      const isFirst = origin.requests.length === 1;
      const until = (isFirst ? gate.promise : Bun.sleep(200)).then(() => void open--);
      return { headers: { "Cache-Control": "private" }, body: `for ${headers["x-client"]}`, until };
    });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "2"] });
    const ask = (client: number) => get(webproxy.http, "/private", { headers: { "X-Client": String(client) } });
    const all = [ask(0)];
    await eventually(5_000, "the first has asked", () => origin.count("/private") === 1);
    for (let client = 1; client <= 20; client++) all.push(ask(client));
    await collapsed(webproxy, 20);
    gate.resolve();
    const got = await Promise.all(all);
    for (const [client, { body }] of got.entries()) expect(body).toBe(`for ${client}`);
    expect(most).toBeGreaterThan(10); // side by side, not one after the other
    const again = await Promise.all(Array.from({ length: 5 }, (_, client) => ask(client)));
    for (const { cache } of again) expect(cache).toMatch(/^fwd=(?:bypass|uri-miss)$/);
    expect((await get(webproxy.http, "/private", { headers: { Range: "bytes=0-1" } })).cache).toStartWith("fwd=bypass");
    // It is not waited for; but what may be stored by then is, as soon as each thread has seen that.
    origin.answer = () => ({ headers: { "Cache-Control": "max-age=600" }, body: "for all" });
    const before = origin.count("/private");
    for (let time = 0; time < 20; time++) await ask(time);
    expect((await ask(2)).cache).toStartWith("hit");
    expect(origin.count("/private") - before).toBeLessThanOrEqual(2 + 1);
  });

  test("who waits for a validation whose answer is for one client only goes on alone, side by side with the others", async () => {
    const gate = Promise.withResolvers<void>();
    let open = 0;
    let most = 0;
    await using origin = await DecidingOrigin.start(() => ({
      headers: { "Cache-Control": "max-age=10", Age: "20", ETag: '"1"' },
      body: "for all",
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await get(webproxy.http, "/x");
    origin.answer = ({ headers }) => {
      open++;
      most = Math.max(most, open);
      const until = (headers["x-client"] === "0" ? gate.promise : Bun.sleep(200)).then(() => void open--);
      return { headers: { "Cache-Control": "private" }, body: `for ${headers["x-client"]}`, until };
    };
    const ask = (client: number) => get(webproxy.http, "/x", { headers: { "X-Client": String(client) } });
    const all = [ask(0)];
    await eventually(5_000, "the first has asked", () => origin.count("/x") === 2);
    for (let client = 1; client <= 20; client++) all.push(ask(client));
    await collapsed(webproxy, 20);
    gate.resolve();
    for (const [client, { body }] of (await Promise.all(all)).entries()) expect(body).toBe(`for ${client}`);
    expect(most).toBeGreaterThan(10);
  });

  test.each(["no-cache, max-age=600", "max-age=0", "max-age=600, must-revalidate, no-cache"])(
    "%s: nobody else gets it without its being validated (RFC 9111 sections 4, 5.2.2.4), neither who waited nor who comes while it arrives",
    async (control) => {
      const head = Promise.withResolvers<void>();
      const rest = Promise.withResolvers<void>();
      await using origin = await DecidingOrigin.start(({ headers }) => {
        const isFirst = origin.requests.length === 1;
        const fields = { "Cache-Control": control, ETag: '"1"' };
        if (headers["if-none-match"] === '"1"') return { status: 304, headers: fields };
        if (!isFirst) return { headers: fields, body: BODY };
        return { headers: fields, body: BODY, until: head.promise, pause: { afterBytes: 10, until: rest.promise } };
      });
      await using webproxy = await Webproxy.start({ origin: origin.url });
      const first = get(webproxy.http, "/x");
      await eventually(5_000, "the first has asked", () => origin.count("/x") === 1);
      const waited = Array.from({ length: 20 }, () => get(webproxy.http, "/x"));
      await collapsed(webproxy, 20);
      head.resolve();
      for (const { body, cache } of await Promise.all(waited)) {
        expect(body === BODY).toBe(true);
        expect(cache).toStartWith("fwd="); // none of them is a hit
      }
      const before = origin.count("/x");
      expect(before).toBeGreaterThan(1);
      expect(before).toBeLessThan(21); // and still they wait for one another
      const late = get(webproxy.http, "/x");
      await eventually(5_000, "the late one has asked", () => origin.count("/x") === before + 1);
      rest.resolve();
      expect((await late).body === BODY).toBe(true);
      expect((await first).body === BODY).toBe(true);
    },
  );

  test("what one client does not want stored (Cache-Control: no-store) keeps nothing from the others", async () => {
    const gate = Promise.withResolvers<void>();
    await using origin = await DecidingOrigin.start(({ headers }) => ({
      headers: { "Cache-Control": "max-age=600" },
      body: "for all",
      ...(headers["cache-control"] === "no-store" && { until: gate.promise }),
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    const secretive = get(webproxy.http, "/x", { headers: { "Cache-Control": "no-store" } });
    await eventually(5_000, "it has asked", () => origin.count("/x") === 1);
    expect((await get(webproxy.http, "/x")).cache).toContain("stored"); // who need not wait for the other
    expect((await get(webproxy.http, "/x")).cache).toStartWith("hit");
    gate.resolve();
    expect(await secretive).toMatchObject({ body: "for all", cache: "fwd=uri-miss" });
    expect(origin.count("/x")).toBe(2);
  });

  test("who would get another variant does not wait for this one", async () => {
    const gate = Promise.withResolvers<void>();
    await using origin = await DecidingOrigin.start(({ headers }) => {
      const language = headers["x-tongue"];
      return {
        headers: { "Cache-Control": "max-age=600", Vary: "X-Tongue" },
        body: `in ${language}`,
        ...(language === "slow" && { until: gate.promise }),
      };
    });
    await using webproxy = await Webproxy.start({ origin: origin.url });
    const ask = (tongue: string) => get(webproxy.http, "/v", { headers: { "X-Tongue": tongue } });
    expect((await ask("first")).body).toBe("in first");
    const slow = ask("slow");
    await eventually(5_000, "it has asked", () => origin.count("/v") === 2);
    expect((await ask("quick")).body).toBe("in quick");
    gate.resolve();
    expect((await slow).body).toBe("in slow");
  });

  const VARIANTS = 10_000;

  test("CHECKLIST 67: of those who share a body that outgrows the store, one that stands still is cut off, and the other has all of it", async () => {
    const body = someBytes(24 * 1024 * 1024, 67); // several times what the kernel takes for a reader
    const asked = Promise.withResolvers<void>();
    const framing = { framing: "chunked", headers: { "Cache-Control": "max-age=600" } } as const;
    await using origin = CountingOrigin.start({ "/outgrows": { body, ...framing, until: asked.promise } });
    const small = ["--cache-dir", "none", "--memory", "8MiB"];
    await using webproxy = await Webproxy.start({ origin: origin.url, args: small });
    const leaving = Promise.withResolvers<void>();
    const stuck = http(webproxy.http, "/outgrows", { pauseAfterBytes: { bytes: 1, until: leaving.promise } });
    const reading = http(webproxy.http, "/outgrows");
    await collapsed(webproxy, 1);
    asked.resolve();
    expect(await reading).toMatchObject({ isComplete: true, sha256: sha256(body) });
    leaving.resolve();
    expect((await stuck).isComplete).toBe(false);
    expect(origin.count("/outgrows")).toBe(1);
    await webproxy.segmentsReturned();
  }, 90_000);

  test("CHECKLIST 26: variants of one URL are capped", async () => {
    await using origin = await DecidingOrigin.start(({ headers }) => ({
      headers: { "Cache-Control": "max-age=600", Vary: "X-Any" },
      body: `any ${headers["x-any"]}`,
    }));
    await using webproxy = await Webproxy.start({ origin: origin.url });
    for (let from = 0; from < VARIANTS; from += 50) {
      const some = Array.from({ length: 50 }, (_, index) =>
        get(webproxy.http, "/v", { headers: { "X-Any": String(from + index) } }),
      );
      for (const [index, { body }] of (await Promise.all(some)).entries()) expect(body).toBe(`any ${from + index}`);
    }
    await eventually(5_000, "the level is written", async () => {
      const stored = (await webproxy.stats()).cache?.counters.responsesStored ?? 0;
      return stored > 0 && stored <= 64;
    });
    expect((await get(webproxy.http, "/v", { headers: { "X-Any": String(VARIANTS - 1) } })).cache).toStartWith("hit");
  }, 120_000);
});

/** How many have joined another's request, looked at now and then. */
async function collapsed(webproxy: Webproxy, count: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (((await webproxy.stats()).cache?.counters.collapsed ?? 0) < count) {
    if (performance.now() > deadline) throw new Error(`${count} did not wait for one`);
    await Bun.sleep(100);
  }
}

async function staleNow(webproxy: Webproxy): Promise<void> {
  const { host, port } = webproxy.admin;
  const body = JSON.stringify({ all: true, soft: true });
  await fetch(`http://${host}:${port}/api/purge`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
}
