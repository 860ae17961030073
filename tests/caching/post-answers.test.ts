/** RFC 9110 section 9.3.3: what a POST was answered with may answer a later GET, and must not answer one that the origin would have been told less of (CHECKLIST 31). */
import { expect, setDefaultTimeout, test } from "bun:test";
import { ConfigFile } from "../config/support.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { DecidingOrigin, type SeenRequest } from "./origin.ts";
import { get } from "./support.ts";

setDefaultTimeout(60_000);

const COUNTED = ["X-Forwarded-Host", "X-Forwarded-Proto"];

/** Answers by what it is told, and says that a POST's answer is the target's. */
function answer({ method, target, headers }: SeenRequest) {
  return {
    headers: {
      "Cache-Control": "max-age=600",
      ...(method === "POST" && { "Content-Location": target }),
      ...(target.includes("vary") && { Vary: "X-Forwarded-Host, X-Own" }),
    },
    body: `${method} ${target} ${headers["x-http-method-override"]} for ${headers["x-forwarded-host"]} ${headers["x-own"]}`,
  };
}

async function started(config?: object) {
  const origin = await DecidingOrigin.start(answer);
  const file = new ConfigFile({ origin: origin.url, ...config });
  const webproxy = await Webproxy.start({ args: ["--config", file.path, "--threads", "1"] });
  return {
    origin,
    ask: (method: string, path: string, headers: Record<string, string> = {}) =>
      get(webproxy.http, path, { method, headers }),
    async [Symbol.asyncDispose]() {
      await webproxy[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
      file[Symbol.dispose]();
    },
  };
}

test("CHECKLIST 31: who posts with a Host of his choice answers nobody else, with Vary or without", async () => {
  await using it = await started();
  for (const path of ["/p", "/vary"]) {
    for (const Host of ["evil.example", "good.example"]) {
      expect((await it.ask("POST", path, { Host })).body).toContain(`for ${Host}`);
      const got = await it.ask("GET", path, { Host: "good.example" });
      expect(got.body).toBe(`GET ${path} undefined for undefined undefined`);
    }
  }
});

test("where a rule counts all that tells requests apart, a POST's answer is the next GET's that says the same", async () => {
  await using it = await started({
    rules: [
      { path: "/q/*", key: { headers: COUNTED, query: { only: ["id"] }, forward: "counted" } },
      { path: "/*", key: { headers: COUNTED } },
    ],
  });
  const Host = "a.example";
  // It is an offer to the cache, which may be too busy for one.
  const postUntilKept = (path: string, headers: Record<string, string>) =>
    eventually(20_000, `the answer to POST ${path} is kept`, async () => {
      const { body } = await it.ask("POST", path, headers);
      const got = await it.ask("GET", path, headers);
      return got.body === body && got.cache?.startsWith("hit") === true;
    });
  await postUntilKept("/p", { Host });
  expect((await it.ask("GET", "/p", { Host: "b.example" })).body).toStartWith("GET /p undefined for b.example");

  await postUntilKept("/vary", { Host, "X-Own": "1" });
  expect((await it.ask("GET", "/vary", { Host })).body).toStartWith("GET ");
  expect((await it.ask("GET", "/vary", { Host, "X-Own": "1" })).body).toStartWith("POST ");

  for (const odd of ["X-HTTP-Method-Override", "If-Match", "Range"]) {
    await it.ask("POST", `/${odd}`, { Host, [odd]: "HEAD" });
    expect((await it.ask("GET", `/${odd}`, { Host })).body).toStartWith("GET ");
  }

  expect((await it.ask("POST", "/q/x?id=1&evil=2", { Host })).body).toContain("evil=2");
  expect((await it.ask("GET", "/q/x?id=1", { Host })).body).toStartWith("GET /q/x?id=1 ");
});
