/** CHECKLIST 21 over real sockets, through the cache and past it: what concerns one connection ends there, both ways; what does not goes on as it was. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

const RESPONSE = [
  "HTTP/1.1 200 Quite All Right",
  "Connection: X-Hop, Cache-Control, Content-Length, keep-alive",
  "x-HOP: only for you",
  "Keep-Alive: timeout=9",
  "Proxy-Connection: keep-alive",
  "Proxy-Authenticate: Basic",
  "Upgrade: h2c",
  "Cache-Control: max-age=600",
  "Set-Cookie: a=1",
  "X-Odd-CASE: kept",
  "set-cookie: b=2",
  "Content-Length: 2",
];
const REQUEST = [
  "Host: client.example",
  "Connection: X-Hop, Host, Cache-Control, Authorization, close",
  "X-Hop: only for you",
  "Keep-Alive: 300",
  "Proxy-Connection: keep-alive",
  "Proxy-Authorization: Basic c2VjcmV0",
  "TE: gzip, deflate",
  "Upgrade: h2c",
  "X-Odd-CASE: kept",
  "Cache-Control: max-stale=1",
  "x-odd-case: twice",
];

let origin: RawOrigin;
let webproxy: Webproxy;
beforeAll(async () => {
  origin = new RawOrigin(async (wire) => {
    for (;;) {
      await wire.head();
      await wire.send(`${RESPONSE.join("\r\n")}\r\n\r\nok`);
    }
  });
  webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
}, 60_000);
afterAll(async () => {
  await webproxy?.[Symbol.asyncDispose]();
  origin?.[Symbol.dispose]();
});

async function ask(method: string, target: string): Promise<{ seen: string; head: string; rest: string }> {
  const before = origin.received.length;
  using client = await Wire.connect(webproxy.http);
  await client.send(`${method} ${target} HTTP/1.1\r\n${REQUEST.join("\r\n")}\r\n\r\n`);
  const head = await client.head();
  return { head, rest: await client.rest(), seen: origin.received.slice(before) };
}

const names = (head: string) =>
  head
    .split("\r\n")
    .slice(1)
    .filter((line) => line !== "")
    .map((line) => line.slice(0, line.indexOf(":")));

for (const [method, target] of [
  ["GET", "/cached"],
  ["DELETE", "/passed"],
] as const) {
  test(`21 ${method}: fields named by Connection are removed, and no harm is done by naming others`, async () => {
    const { seen, head, rest } = await ask(method, target);
    expect(seen).toStartWith(`${method} ${target} HTTP/1.1\r\nHost: ${new URL(origin.url).host}\r\n`);
    const sent = names(seen).map((name) => name.toLowerCase());
    for (const gone of [
      "x-hop",
      "keep-alive",
      "proxy-connection",
      "proxy-authorization",
      "te",
      "upgrade",
      "connection",
    ])
      expect(sent).not.toContain(gone);
    expect(names(seen).filter((name) => /^x-odd-case$/i.test(name))).toEqual(["X-Odd-CASE", "x-odd-case"]);
    expect(field(seen, "via")).toBe("1.1 webproxy");
    expect(sent.filter((name) => name === "host")).toHaveLength(1);

    const got = names(head);
    const lower = got.map((name) => name.toLowerCase());
    for (const gone of ["x-hop", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade"])
      expect(lower).not.toContain(gone);
    expect(field(head, "connection")).toBe("close"); // ours: the client asked for it
    expect(field(head, "cache-control")).toBe("max-age=600");
    expect([field(head, "content-length"), rest]).toEqual(["2", "ok"]);
    expect(got.filter((name) => /^set-cookie$/i.test(name))).toEqual(["Set-Cookie", "set-cookie"]);
    expect(got).toContain("X-Odd-CASE");
    expect(field(head, "via")).toBe("1.1 webproxy");
  }, 30_000);
}

test("21 Cache-Control that Connection names counts all the same: the response is stored, and without what was only for one hop", async () => {
  await ask("GET", "/stored");
  for (let time = 0; time < 3; time++) {
    const { head, seen } = await ask("GET", "/stored");
    expect(seen).toBe("");
    expect(field(head, "cache-status")).toStartWith("webproxy; hit");
    expect(names(head).map((name) => name.toLowerCase())).not.toContain("x-hop");
  }
}, 30_000);
