/** CHECKLIST 42: neither the public port nor a foreign web page reaches what only an operator may do. */
import { expect, test } from "bun:test";
import { CountingOrigin } from "../support/counting-origin.ts";
import { field, http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";

const PATHS = ["/", "/api/purge", "/api/stats", "/api/explain?url=/a", "/api/live", "/metrics", "/healthz", "/readyz"];

test("42 admin and purge are off on the public port, and closed to foreign web pages", async () => {
  await using origin = CountingOrigin.start({
    "/a": { body: Buffer.from("a"), headers: { "Cache-Control": "max-age=600" } },
  });
  await using webproxy = await Webproxy.start({ origin: origin.url });
  await http(webproxy.http, "/a");
  // On the public port these are the origin's paths, and PURGE a method that passes.
  for (const path of PATHS)
    expect({ path, status: (await http(webproxy.http, path)).status }).toEqual({ path, status: "404" });
  for (const [method, path] of [
    ["POST", "/api/purge"],
    ["PURGE", "/b"],
    ["BAN", "/b"],
  ] as const) {
    await http(webproxy.http, path, { method, headers: { "Content-Type": "application/json", "Content-Length": "0" } });
    expect(origin.requests.at(-1)).toMatchObject({ method, target: path });
  }
  // A name that resolves to this machine (DNS rebinding) is not ours; and no answer may be read by another origin's page.
  for (const path of PATHS) {
    expect({ path, status: (await http(webproxy.admin, path, { headers: { Host: "evil.example" } })).status }).toEqual({
      path,
      status: "421",
    });
  }
  const own = await http(webproxy.admin, "/api/stats", { headers: { Origin: "http://evil.example" } });
  expect([own.status, field(own.head, "access-control-allow-origin")]).toEqual(["200", undefined]);
  const url = `http://${webproxy.admin.host}:${webproxy.admin.port}/api/purge`;
  const purge = (headers: Record<string, string>) => fetch(url, { method: "POST", body: '{"all":true}', headers });
  expect((await purge({ "content-type": "text/plain" })).status).toBe(415);
  expect((await purge({ "content-type": "application/json", origin: "http://evil.example" })).status).toBe(403);
  expect((await purge({ "content-type": "application/json", "sec-fetch-site": "cross-site" })).status).toBe(403);
  expect(field((await http(webproxy.http, "/a")).head, "cache-status")).toContain("; hit");
}, 60_000);
