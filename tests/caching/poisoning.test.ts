/** Poisoning, deception, privacy: CHECKLIST 31 to 41 (41 is in ranges.test.ts, 42 in the admin API's tests). */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Webproxy } from "../support/webproxy.ts";
import { DecidingOrigin, type OriginAnswer, type SeenRequest } from "./origin.ts";
import { get } from "./support.ts";

setDefaultTimeout(60_000);

const FRESH = { "Cache-Control": "max-age=600" };

async function started(answer: (request: SeenRequest) => OriginAnswer) {
  const origin = await DecidingOrigin.start(answer);
  // Of more threads each would have keys of its own, and two of them that are taken for one another might never meet.
  const webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  const ask = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    get(webproxy.http, path, { headers, method });
  return {
    origin,
    ask,
    async [Symbol.asyncDispose]() {
      await webproxy[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

describe("poisoning and privacy", () => {
  test("CHECKLIST 31: fields that choose another host, target or method change no stored response", async () => {
    const names = [
      "X-Forwarded-Host",
      "X-Forwarded-Proto",
      "X-Forwarded-Port",
      "X-Original-URL",
      "X-Rewrite-URL",
      "X-HTTP-Method-Override",
      "Forwarded",
      "X-Host",
      "X-HTTP-Host-Override",
    ];
    await using it = await started(({ headers }) => ({
      headers: FRESH,
      body: names.map((name) => headers[name.toLowerCase()] ?? "").join(""),
    }));
    for (const [index, name] of names.entries()) {
      await it.ask(`/${index}`, { [name]: name === "Forwarded" ? "host=evil.example" : "evil" });
      expect((await it.ask(`/${index}`)).body).not.toContain("evil");
      expect((await it.ask(`/${index}`)).cache).toStartWith("hit");
    }
  });

  test("CHECKLIST 31: nor do they in a spelling that CGI, WSGI or PHP read as the same, through the cache or past it", async () => {
    // What such an origin makes of a head: an underscore for each hyphen.
    const read = ({ headers }: SeenRequest, name: string) =>
      Object.entries(headers).flatMap(([key, value]) => (key.replaceAll("_", "-") === name ? [value] : []));
    const lies = [
      "X_Forwarded_Host",
      "X-Forwarded_Host",
      "X_Original_URL",
      "X_Http_Method_Override",
      "X_HTTP_Host_Override",
    ];
    const names = lies.map((name) => name.replaceAll("_", "-").toLowerCase());
    await using it = await started((request) => ({
      headers: { ...FRESH, ...(request.target === "/vary" && { Vary: "X-Tongue" }) },
      body: JSON.stringify([...names, "x-tongue"].map((name) => read(request, name))),
    }));
    for (const [index, name] of lies.entries()) {
      expect((await it.ask(`/${index}`, { [name]: "evil" })).body).not.toContain("evil");
      if (!name.includes("Method"))
        expect((await it.ask(`/${index}`, { [name]: "evil", "X-Own_Field": "kept" }, "POST")).body).not.toContain(
          "evil",
        );
    }
    await it.ask("/framing", { Content_Length: "3", Transfer_Encoding: "chunked", "X-Own_Field": "kept" }, "POST");
    expect(Object.keys(it.origin.last("/framing")!.headers).filter((name) => name.includes("_"))).toEqual([
      "x-own_field",
    ]);
    // A field that is the client's own still goes, and what was answered to it is for who says the same.
    expect((await it.ask("/vary", { X_Tongue: "evil" })).body).toContain("evil");
    expect((await it.ask("/vary")).body).not.toContain("evil");
    expect((await it.ask("/vary", { "X-Tongue": "evil" })).cache).toContain("fwd=vary-miss");
    expect((await it.ask("/vary", { X_Tongue: "evil" })).cache).toStartWith("hit");
  });

  test("CHECKLIST 32, 33, 35: what the origin could tell apart is stored apart, and the origin sees the bytes that are the key", async () => {
    await using it = await started(({ target }) => ({ headers: FRESH, body: target }));
    const paths = [
      "/a",
      "//a",
      "/./a",
      "/b/../a",
      "/b/%2e%2e/a",
      "/b/%2E%2E/a",
      "/a%2F",
      "/%2e/a",
      "/%61",
      "/a%2f",
      "/a/",
      "/A",
      "/a?",
      "/a?x",
      "/a?X",
      "/a%00",
      "/a;b",
      "/a?x&y",
      "/a?y&x",
    ];
    for (let round = 0; round < 2; round++) {
      for (const path of paths) {
        expect((await it.ask(path)).body).toBe(path);
        expect(it.origin.count(path)).toBe(1);
      }
    }
    // An absolute target names the resource; another Host, in whatever case, the same one: the origin is one.
    for (const host of ["OTHER.example:80", "other.example.", "other.example.:80"])
      expect((await it.ask("/a", { Host: host })).cache).toStartWith("hit");
  });

  test("CHECKLIST 34: Authorization, private, no-store, and fields that are private to one client", async () => {
    let served = 0;
    await using it = await started(({ target }) => {
      served++;
      const control = decodeURIComponent(target.slice(1));
      return {
        headers: { "Cache-Control": control, "Set-Cookie": `session=${served}`, "X-Kept": "yes" },
        body: String(served),
      };
    });
    for (const control of ["private, max-age=600", "no-store, max-age=600", 'max-age=600, private="x-kept, date"']) {
      const path = `/${encodeURIComponent(control)}`;
      const first = await it.ask(path);
      expect((await it.ask(path)).body).not.toBe(first.body);
    }
    for (const name of ["private", "no-cache"]) {
      const path = `/${encodeURIComponent(`max-age=600, ${name}="set-cookie"`)}`;
      const first = await it.ask(path);
      expect(first.head).toMatch(/^set-cookie:/im);
      const second = await it.ask(path);
      expect(second.body).toBe(first.body);
      expect(second.head).not.toMatch(/^set-cookie:/im);
      expect(second.head).toMatch(/x-kept/i);
    }
    const path = `/${encodeURIComponent("max-age=601")}`;
    const mine = await it.ask(path, { Authorization: "Basic me" });
    expect((await it.ask(path, { Authorization: "Basic you" })).body).not.toBe(mine.body);
    expect((await it.ask(path)).body).not.toBe(mine.body);
    const open = `/${encodeURIComponent("public, max-age=602")}`;
    const shared = await it.ask(open, { Authorization: "Basic me" });
    expect((await it.ask(open)).body).toBe(shared.body);
  });

  test("CHECKLIST 36: an error that an odd request provoked answers nobody else", async () => {
    await using it = await started(({ headers }) => {
      if (headers["x-odd"] !== undefined)
        return {
          status: Number(headers["x-odd"]),
          headers: { "Cache-Control": String(headers["x-control"] ?? "max-age=600") },
          body: "odd",
        };
      if (headers["if-match"] !== undefined) return { status: 412, headers: FRESH, body: "odd" };
      if (headers.range === "bytes=9999-") return { status: 416, headers: { ...FRESH, "Content-Range": "bytes */4" } };
      return { headers: FRESH, body: "good" };
    });
    for (const status of [401, 407, 408, 411, 412, 413, 415, 416, 417, 421, 426, 428, 429, 431]) {
      await it.ask(`/${status}`, { "X-Odd": String(status) });
      expect((await it.ask(`/${status}`)).body).toBe("good");
    }
    // Nor does one that can not be stored keep the good one out of the store.
    for (const status of [400, 403, 406, 500]) {
      await it.ask(`/${status}`, { "X-Odd": String(status), "X-Control": "no-store" });
      expect(await it.ask(`/${status}`)).toMatchObject({ body: "good", cache: "fwd=uri-miss; stored" });
    }
    await it.ask("/match", { "If-Match": '"x"' });
    expect((await it.ask("/match")).body).toBe("good");
    await it.ask("/range", { Range: "bytes=9999-" });
    expect((await it.ask("/range")).body).toBe("good");
  });

  test("CHECKLIST 36: an error that may be about what one client said answers those only who say all the same", async () => {
    const statusOf = ({ target }: SeenRequest) => Number(target.slice(1, 4));
    await using it = await started((request) => {
      const { "x-odd": odd, "x-key": key } = request.headers;
      const isOdd = odd !== undefined || (request.target.endsWith("/key") && key === undefined);
      return {
        status: isOdd ? statusOf(request) : 200,
        headers: { ...FRESH, ETag: '"e"' },
        body: isOdd ? "odd" : "good",
      };
    });
    for (const status of [400, 403, 405, 406, 414, 422, 500, 501, 502, 503, 504, 505, 599]) {
      const path = `/${status}`;
      expect((await it.ask(path, { "X-Odd": "1" })).status).toBe(path.slice(1));
      expect((await it.ask(path, { "X-Odd": "1" })).cache).toStartWith("hit");
      expect((await it.ask(path, { "X-Odd": "2" })).cache).toStartWith("fwd=vary-miss");
      expect((await it.ask(path)).body).toBe("good");
      expect(it.origin.last(path)?.headers).not.toHaveProperty("if-none-match");
      expect(await it.ask(path)).toMatchObject({ body: "good", cache: expect.stringMatching(/^hit/) });
    }
    // What an error is about may be missing as well.
    expect((await it.ask("/403/key")).status).toBe("403");
    expect(await it.ask("/403/key")).toMatchObject({ status: "403", cache: expect.stringMatching(/^hit/) });
    expect(await it.ask("/403/key", { "X-Key": "mine" })).toMatchObject({ body: "good" });
    for (const status of [301, 308, 404, 410]) {
      await it.ask(`/${status}`, { "X-Odd": "1" });
      expect(await it.ask(`/${status}`)).toMatchObject({ body: "odd", cache: expect.stringMatching(/^hit/) });
    }
  });

  test("CHECKLIST 37: Vary: * is never reused, Vary: Cookie keeps clients apart", async () => {
    let served = 0;
    await using it = await started(({ target, headers }) => {
      served++;
      return {
        headers: { ...FRESH, Vary: target === "/star" ? "*" : "Cookie" },
        body: `${served} for ${headers.cookie}`,
      };
    });
    expect((await it.ask("/star")).body).not.toBe((await it.ask("/star")).body);
    const me = await it.ask("/cookie", { Cookie: "id=me" });
    expect(me.body).toEndWith("for id=me");
    expect((await it.ask("/cookie", { Cookie: "id=you" })).body).toEndWith("for id=you");
    expect((await it.ask("/cookie")).body).toEndWith("for undefined");
    expect((await it.ask("/cookie", { Cookie: "id=me" })).body).toBe(me.body);
  });

  test("CHECKLIST 38: a gzip body is never sent to one who takes identity only, whatever Vary says", async () => {
    const gate = Promise.withResolvers<void>();
    await using it = await started(({ target, headers }) => {
      const isGzip = headers["accept-encoding"]?.includes("gzip") === true;
      return {
        headers: { ...FRESH, ETag: isGzip ? '"gz"' : '"id"', ...(isGzip && { "Content-Encoding": "gzip" }) },
        body: isGzip ? "GZIPPED" : "plain",
        ...(target === "/slow" && isGzip && { until: gate.promise }),
      };
    });
    expect((await it.ask("/x", { "Accept-Encoding": "gzip" })).body).toBe("GZIPPED");
    expect((await it.ask("/x", { "Accept-Encoding": "identity" })).body).toBe("plain");
    expect((await it.ask("/x", { "Accept-Encoding": "gzip;q=0" })).body).toBe("plain");
    const slow = it.ask("/slow", { "Accept-Encoding": "gzip" });
    while (it.origin.count("/slow") === 0) await Bun.sleep(5);
    const joined = it.ask("/slow", { "Accept-Encoding": "identity" }); // waits for the same resource, and may not get that
    await Bun.sleep(50);
    gate.resolve();
    expect((await slow).body).toBe("GZIPPED");
    expect((await joined).body).toBe("plain");
  });

  test("CHECKLIST 39: a 304 about another variant freshens nothing", async () => {
    let liar = false;
    await using it = await started(({ headers }) => {
      const tongue = headers["x-tongue"];
      if (liar && headers["if-none-match"] !== undefined)
        return { status: 304, headers: { ...FRESH, ETag: '"nobody"' } };
      return {
        headers: { "Cache-Control": "max-age=1, must-revalidate", Age: "5", ETag: `"${tongue}"`, Vary: "X-Tongue" },
        body: `in ${tongue}`,
      };
    });
    const ask = (tongue: string) => it.ask("/x", { "X-Tongue": tongue });
    expect([(await ask("de")).body, (await ask("fr")).body]).toEqual(["in de", "in fr"]);
    expect(it.origin.last("/x")?.headers["if-none-match"]).toBe('"de"');
    liar = true;
    expect((await ask("de")).body).toBe("in de");
    expect(it.origin.last("/x")?.headers["if-none-match"]).toBeUndefined(); // asked again for the whole
    liar = false;
  });

  test("a 304 chooses among the variants, and the chosen one answers", async () => {
    await using it = await started(({ headers }) => {
      const tongue = headers["x-tongue"] === "de-AT" ? "de" : headers["x-tongue"];
      const etag = `"${tongue}"`;
      const fields = { ...FRESH, ETag: etag, Vary: "X-Tongue" };
      if (headers["if-none-match"]?.includes(etag)) return { status: 304, headers: fields };
      return { headers: fields, body: `in ${tongue}` };
    });
    const ask = (tongue: string) => it.ask("/x", { "X-Tongue": tongue });
    expect([(await ask("de")).body, (await ask("fr")).body]).toEqual(["in de", "in fr"]);
    const austrian = await ask("de-AT");
    expect(austrian).toMatchObject({
      status: "200",
      body: "in de",
      cache: expect.stringContaining("fwd=vary-miss; fwd-status=304"),
    });
    expect((await ask("fr")).body).toBe("in fr");
    expect((await ask("de-AT")).cache).toStartWith("hit");
  });

  test("CHECKLIST 40: HEAD neither truncates nor poisons GET", async () => {
    let headLength = "4";
    await using it = await started(({ method }) => {
      if (method === "HEAD")
        return { headers: { ...FRESH, "Content-Length": headLength, ETag: headLength === "4" ? '"a"' : '"b"' } };
      return { headers: { ...FRESH, ETag: '"a"' }, body: "body" };
    });
    expect((await it.ask("/x", {}, "HEAD")).body).toBe("");
    expect((await it.ask("/x")).body).toBe("body");
    expect(await it.ask("/x", {}, "HEAD")).toMatchObject({
      status: "200",
      body: "",
      cache: expect.stringContaining("hit"),
    });
    expect((await it.ask("/x")).body).toBe("body");
    headLength = "9";
    await it.ask("/x", { "Cache-Control": "no-cache" }, "HEAD"); // it has changed, says the origin
    const again = await it.ask("/x");
    expect(again.body).toBe("body");
    expect(again.cache).toStartWith("fwd=stale"); // so it was asked again
  });

  test.each(["private, max-age=600", "no-store, max-age=600", "private"])(
    "CHECKLIST 34: a 304 that says %s takes what was stored from everybody but who asked",
    async (control) => {
      const stale = { "Cache-Control": "max-age=10", Age: "20", ETag: '"1"' };
      await using it = await started(() => ({ headers: stale, body: "for all" }));
      for (const method of ["GET", "HEAD"]) {
        const path = `/${method}`;
        it.origin.answer = () => ({ headers: stale, body: "for all" });
        await it.ask(path);
        it.origin.answer = ({ headers, method }) => {
          const fields = { "Cache-Control": control, ETag: '"1"' };
          if (method === "HEAD") return { headers: fields, body: "for all" };
          return { status: headers["if-none-match"] === '"1"' ? 304 : 200, headers: fields, body: "for one" };
        };
        expect((await it.ask(path, {}, method)).status).toBe("200");
        const { cache, body } = await it.ask(path);
        expect({ cache, body }).toEqual({ cache: "fwd=uri-miss", body: "for one" });
      }
    },
  );

  test("a 304 to somebody's credentials, or to who wants nothing stored, renews it for that client only (RFC 9111 sections 3.5, 5.2.1.5)", async () => {
    await using it = await started(({ headers }) => ({
      status: headers["if-none-match"] === '"1"' ? 304 : 200,
      headers: {
        "Cache-Control": "max-age=600",
        "X-For": headers.authorization ?? headers["cache-control"] ?? "all",
        ...(it.origin.requests.length === 1 && { Age: "700" }),
        ETag: '"1"',
      },
      body: "body",
    }));
    await it.ask("/x");
    for (const headers of [{ Authorization: "Basic abc" }, { "Cache-Control": "no-store" }] as const) {
      const own = await it.ask("/x", headers);
      expect(own).toMatchObject({ cache: expect.stringContaining("fwd=stale; fwd-status=304"), body: "body" });
    }
    const { head, cache } = await it.ask("/x");
    expect(cache).toStartWith("fwd=stale; fwd-status=304");
    expect(head).toContain("X-For: all");
    expect((await it.ask("/x")).cache).toStartWith("hit");
  });

  test("a 206 that nobody asked for, and a 304 to no condition, are no answers to others", async () => {
    let answer: OriginAnswer = { status: 206, headers: { ...FRESH, "Content-Range": "bytes 0-3/8" }, body: "half" };
    await using it = await started(() => answer);
    await it.ask("/part");
    answer = { status: 304, headers: { ...FRESH, ETag: '"x"' } };
    expect((await it.ask("/none")).status).toBe("502");
    answer = { headers: FRESH, body: "all of it" };
    expect(await it.ask("/part")).toMatchObject({ status: "200", body: "all of it" });
    expect(await it.ask("/none")).toMatchObject({ status: "200", body: "all of it" });
  });

  test("Cache-Status stands behind what caches nearer the origin said, and tells the key to who asks", async () => {
    await using it = await started(() => ({ headers: { ...FRESH, "Cache-Status": "inner; hit; ttl=5" }, body: "x" }));
    const statusOf = async (headers: Record<string, string> = {}) =>
      /^cache-status: (.*)\r$/im.exec((await it.ask("/x", headers)).head)?.[1];
    expect(await statusOf()).toBe("inner; hit; ttl=5, webproxy; fwd=uri-miss; stored");
    expect(await statusOf()).toMatch(/^inner; hit; ttl=5, webproxy; hit; ttl=\d+$/);
    const withKey = await statusOf({ Pragma: "x-get-cache-key" });
    expect(withKey?.replace(/ttl=\d+; key/, "key")).toBe(`inner; hit; ttl=5, webproxy; hit; key="${it.origin.url}/x"`);
  });
});
