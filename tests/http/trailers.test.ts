/** Trailers of a response through the cache (RFC 9110 section 6.5, RFC 9111 section 3.1): to who takes them, as they come; never stored, never merged. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n";
const STORABLE = `${HEAD}Cache-Control: max-age=600\r\n\r\n`;
const CONTENT = "5\r\nhello\r\n6\r\n, you!\r\n";
const END = "0\r\nX-Sum: 11\r\nX-Sum: ok\r\nServer-Timing: a;dur=1\r\n\r\n";
const TE = "Connection: TE\r\nTE: trailers\r\n";

/** What a client got: its head, and the content and trailers behind it as they stood in chunks. */
async function ask(webproxy: Webproxy, path: string, fields = "", version = "1.1") {
  using client = await Wire.connect(webproxy.http);
  await client.send(`GET ${path} HTTP/${version}\r\nHost: h\r\n${fields}\r\n`);
  return await answerOf(client);
}

async function answerOf(client: Wire) {
  const head = await client.head();
  if (field(head, "transfer-encoding") !== "chunked") {
    const length = field(head, "content-length");
    return {
      head,
      content: length === undefined ? await client.rest() : await client.exactly(Number(length)),
      trailers: undefined,
    };
  }
  let content = "";
  for (;;) {
    const size = Number.parseInt(await client.through("\r\n"), 16);
    if (size === 0) break;
    content += await client.exactly(size);
    await client.exactly(2);
  }
  let trailers = "";
  while (!trailers.endsWith("\r\n\r\n") && trailers !== "\r\n") trailers += await client.through("\r\n");
  return { head, content, trailers: trailers.slice(0, -2) };
}

/** An origin that says `parts` to each request, waiting for `gates` between them. */
function origin(parts: readonly string[], gates: readonly Promise<unknown>[] = []): RawOrigin {
  return new RawOrigin(async (wire) => {
    for (;;) {
      await wire.head();
      for (const [index, part] of parts.entries()) {
        await wire.send(part);
        await gates[index];
      }
    }
  });
}

const TRAILERS = "X-Sum: 11\r\nX-Sum: ok\r\nServer-Timing: a;dur=1\r\n";

test("a client that takes trailers gets them behind a miss; who joins and takes none does not; what is stored has none", async () => {
  const gate = Promise.withResolvers<void>();
  using peer = origin([STORABLE + CONTENT.slice(0, 12), CONTENT.slice(12) + END], [gate.promise]);
  await using webproxy = await Webproxy.start({ origin: peer.url });
  using first = await Wire.connect(webproxy.http);
  using taker = await Wire.connect(webproxy.http);
  using other = await Wire.connect(webproxy.http);
  await first.send(`GET /a HTTP/1.1\r\nHost: h\r\n${TE}\r\n`);
  const head = await first.head(); // it is on its way: the others join it
  expect([field(head, "trailer"), field(head, "transfer-encoding")]).toEqual(["X-Sum", "chunked"]);
  expect(await first.through("hello")).toEndWith("hello");
  await taker.send(`GET /a HTTP/1.1\r\nHost: h\r\n${TE}\r\n`);
  await other.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  await Promise.all([taker.through("hello"), other.through("hello")]);
  gate.resolve();
  expect(await first.through("\r\n\r\n")).toEndWith(`you!\r\n0\r\n${TRAILERS}\r\n`);
  expect(await taker.through("\r\n\r\n")).toEndWith(`you!\r\n0\r\n${TRAILERS}\r\n`);
  expect(await other.through("\r\n\r\n")).toEndWith("you!\r\n0\r\n\r\n");
  expect(peer.received.match(/^GET /gm)).toHaveLength(1);
  expect(peer.received).toMatch(/\r\nTE: trailers\r\nConnection: TE\r\n/);

  for (let time = 0; time < 4; time++) {
    const hit = await ask(webproxy, "/a", TE);
    expect(hit.head).toMatch(/^Cache-Status: webproxy; hit/im);
    expect([hit.content, hit.trailers]).toEqual(["hello, you!", undefined]);
    expect(field(hit.head, "x-sum") ?? field(hit.head, "trailer")).toBeUndefined();
  }
  peer.check();
});

for (const [how, parts] of [
  ["at once", [STORABLE + CONTENT + END]],
  [
    "in pieces, and may not be stored",
    [`${HEAD}Cache-Control: no-store\r\n\r\n`, CONTENT, END.slice(0, 9), END.slice(9)],
  ],
  ["with nothing before them", [`${HEAD}\r\n0\r\n`, END.slice(3)]],
] as const) {
  test(`trailers of a response that comes ${how}`, async () => {
    using peer = origin(
      parts,
      parts.map(() => Bun.sleep(60)),
    );
    await using webproxy = await Webproxy.start({ origin: peer.url });
    const content = how.startsWith("with nothing") ? "" : "hello, you!";
    expect(await ask(webproxy, "/taken", TE)).toMatchObject({ content, trailers: TRAILERS });
    const left = await ask(webproxy, "/left");
    expect([left.content, left.trailers ?? ""]).toEqual([content, ""]);
    expect(peer.received.match(/^TE: /gim)).toHaveLength(1);
    const old = await ask(webproxy, "/old", TE, "1.0");
    expect([old.content, old.trailers]).toEqual([content, undefined]);
    peer.check();
  });
}

test("heads and trailers longer than a segment come whole, behind a body whose length nobody knows", async () => {
  const long = (name: string, lines: number) =>
    Array.from({ length: lines }, (_, index) => `${name}-${index}: ${"v".repeat(200)}\r\n`).join("");
  const content = "abcdefghij".repeat(2000);
  const chunk = `${content.length.toString(16)}\r\n${content}\r\n`;
  using peer = origin([
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${long("X-Head", 100)}\r\n`,
    chunk,
    `0\r\n${long("X-Trailer", 30)}\r\n`,
  ]);
  await using webproxy = await Webproxy.start({ origin: peer.url, args: ["--segment-size", "4KiB"] });
  for (const path of ["/1", "/2", "/3", "/4", "/5"]) {
    const got = await ask(webproxy, path, TE);
    expect(got.head).toContain(long("X-Head", 100));
    expect([got.content === content, got.trailers]).toEqual([true, long("X-Trailer", 30)]);
    const plain = await ask(webproxy, `${path}/plain`);
    expect([plain.content === content, plain.trailers ?? ""]).toEqual([true, ""]);
  }
  peer.check();
});

test("a trailer that would change the message is none: the client sees an abort, and nothing is stored (CHECKLIST 8)", async () => {
  for (const name of ["Content-Length", "Host", "Authorization", "Set-Cookie"]) {
    using peer = origin([STORABLE, CONTENT, `0\r\n${name}: 1\r\n\r\n`], [Bun.sleep(60), Bun.sleep(60)]);
    await using webproxy = await Webproxy.start({ origin: peer.url, args: ["--threads", "1"] });
    for (let time = 0; time < 2; time++) await expect(ask(webproxy, "/a", TE)).rejects.toThrow(/It closed/);
    expect(peer.received.match(/^GET /gm)).toHaveLength(2);
  }
});
