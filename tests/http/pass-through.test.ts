/** What caching has no part in, over real sockets: the client's octets and the origin's, as they are. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import { field } from "../support/http-client.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { NodeOrigin } from "./node-origin.ts";
import { RawOrigin, Wire } from "./wire.ts";

const MIB = 1024 * 1024;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A `webproxy` before an origin that is driven by `script`; fails when the script has. */
async function withOrigin(
  script: (wire: Wire, index: number) => Promise<void>,
  run: (given: { webproxy: Webproxy; origin: RawOrigin; client: Wire }) => Promise<void>,
): Promise<void> {
  using origin = new RawOrigin(script);
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  using client = await Wire.connect(webproxy.http);
  await run({ webproxy, origin, client });
  origin.check();
}

async function answerAll(wire: Wire): Promise<void> {
  for (;;) {
    await wire.head();
    await wire.send(OK);
  }
}

/** Until the other side hangs up, which ends a script in order. */
async function untilClosed(wire: Wire, script: (wire: Wire) => Promise<void>): Promise<void> {
  await script(wire).catch((error: unknown) => {
    if (wire.ended === "no") throw error;
  });
}

describe("methods", () => {
  let origin: NodeOrigin;
  let webproxy: Webproxy;
  beforeAll(async () => {
    origin = await NodeOrigin.start();
    webproxy = await Webproxy.start({ origin: origin.url });
  }, 40_000);
  afterAll(async () => {
    await webproxy?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
  });

  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "GET", "M-SEARCH"]) {
    for (const framing of ["by length", "in chunks"]) {
      test(`${method} with content ${framing} arrives as it was sent, and its answer comes back`, async () => {
        const content = someBytes(100_000, method.length);
        const path = `/${method}/${framing.replace(" ", "-")}`;
        const [framed, lines] =
          framing === "by length"
            ? [content, `Content-Length: ${content.length}`]
            : [
                Buffer.concat([Buffer.from("186A0;x=y\r\n"), content, Buffer.from("\r\n0\r\nX-Trailer: 1\r\n\r\n")]),
                "Transfer-Encoding: chunked",
              ];
        using client = await Wire.connect(webproxy.http);
        await client.send(`${method} ${path}?q HTTP/1.1\r\nHost: front\r\nX-oWn: 1\r\nx-own: 2\r\n${lines}\r\n\r\n`);
        await client.send(framed);
        const head = await client.head();
        expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
        expect(field(head, "via")).toBe("1.1 webproxy");
        const length = Number(field(head, "content-length"));
        expect(sha256(Buffer.from(await client.exactly(length), "latin1"))).toBe(sha256(content));
        const asked = () => origin.requests.find(({ target }) => target === `${path}?q`);
        const seen = await eventually(5_000, "what the origin read", asked);
        expect(seen.method).toBe(method);
        expect(sha256(Buffer.from(seen.body, "latin1"))).toBe(sha256(content));
        expect(seen.trailers).toEqual(framing === "by length" ? [] : ["X-Trailer", "1"]);
        const own = seen.fields.indexOf("X-oWn");
        expect(seen.fields.slice(own, own + 4)).toEqual(["X-oWn", "1", "x-own", "2"]);
        expect(seen.fields).toContain("1.1 webproxy");
        // The connection goes on.
        await client.send("GET /next HTTP/1.1\r\nHost: front\r\n\r\n");
        expect(await client.head()).toStartWith("HTTP/1.1 200 OK\r\n");
      });
    }
  }

  test("16 a thousand pipelined requests of all kinds are answered in order", async () => {
    const count = 1000;
    const requests: string[] = [];
    const expected: string[] = [];
    for (let index = 0; index < count; index++) {
      const body = `body ${index}`;
      const head = "HTTP/1.1\r\nHost: front\r\n";
      if (index % 3 === 0) requests.push(`POST /p ${head}Content-Length: ${body.length}\r\n\r\n${body}`);
      else if (index % 3 === 1) requests.push(`GET /g${index % 7} ${head}\r\n`);
      else
        requests.push(
          `PUT /c ${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
        );
      expected.push(index % 3 === 1 ? "" : body);
    }
    using client = await Wire.connect(webproxy.http);
    void client.send(requests.join(""));
    client.end();
    for (let index = 0; index < count; index++) {
      const head = await client.head();
      expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
      const body = await client.exactly(Number(field(head, "content-length") ?? 0));
      expect([index, body]).toEqual([index, expected[index]!]);
    }
    expect(await client.rest()).toBe("");
  }, 60_000);
});

test("methods that nobody has registered pass, and CONNECT does not", async () => {
  await withOrigin(
    (wire) => untilClosed(wire, answerAll),
    async ({ origin, client, webproxy }) => {
      await client.send("x-Own_1 /a HTTP/1.1\r\nHost: a\r\n\r\n");
      expect(await client.head()).toContain(" 200 OK");
      expect(origin.received).toStartWith("x-Own_1 /a HTTP/1.1\r\n");
      using other = await Wire.connect(webproxy.http);
      await other.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nGET /tunnelled HTTP/1.1\r\nHost: a\r\n\r\n");
      expect(await other.head()).toStartWith("HTTP/1.1 501 ");
      await other.closed();
      expect(origin.received).not.toContain("tunnelled");
    },
  );
});

test("TRACE and OPTIONS count down Max-Forwards, and end here at 0", async () => {
  await withOrigin(
    (wire) => untilClosed(wire, answerAll),
    async ({ origin, client }) => {
      await client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n");
      await client.through("\r\n\r\nok");
      expect(origin.received).toMatch(/^OPTIONS \* HTTP\/1.1\r\n[\s\S]*\r\nMax-Forwards: 1\r\n/);
      await client.send("TRACE /t HTTP/1.1\r\nHost: a\r\nCookie: secret\r\nX-A: 1\r\nMax-Forwards: 0\r\n\r\n");
      const head = await client.head();
      expect(field(head, "content-type")).toBe("message/http");
      const echo = await client.exactly(Number(field(head, "content-length")));
      expect(echo).toBe("TRACE /t HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nMax-Forwards: 0\r\n\r\n");
      expect(origin.received).not.toContain("TRACE");
    },
  );
});

describe("Expect: 100-continue", () => {
  const head = (expectation: string) => `POST /e HTTP/1.1\r\nHost: a\r\n${expectation}\r\nContent-Length: 5\r\n\r\n`;
  const HEAD = head("Expect: 100-continue");

  test.each([
    "Expect: 100-continue",
    "Expect: 100-continue, 100-Continue",
    "Expect: 100-continue\r\nExpect: 100-continue",
  ])("%j goes to the origin; its 100 comes back before any content is sent", async (expectation) => {
    await withOrigin(
      async (wire) => {
        expect(await wire.head()).toContain(`\r\n${expectation}\r\n`);
        expect(wire.unread).toBe("");
        await wire.send("HTTP/1.1 100 Continue\r\n\r\n");
        expect(await wire.exactly(5)).toBe("hello");
        await wire.send(OK);
      },
      async ({ client }) => {
        await client.send(head(expectation));
        expect(await client.head()).toStartWith("HTTP/1.1 100 Continue\r\n");
        await client.send("hello");
        expect(await client.through("ok")).toContain("HTTP/1.1 200 OK\r\n");
      },
    );
  });

  test("is refused by the origin: the client hears it, sends nothing, and what it sends next is no request", async () => {
    await withOrigin(
      async (wire) => {
        await wire.head();
        await wire.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
        expect(await wire.rest()).toBe("");
      },
      async ({ client, origin }) => {
        await client.send(HEAD);
        const head = await client.head();
        expect([head.slice(0, 15), field(head, "connection")]).toEqual(["HTTP/1.1 417 No", "close"]);
        await client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        expect(await client.rest()).toBe("");
        expect(origin.received).not.toContain("smuggled");
      },
    );
  });

  test("14 another expectation is 417, and one without content is met here", async () => {
    await withOrigin(
      (wire) => untilClosed(wire, answerAll),
      async ({ client, origin }) => {
        await client.send("GET /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
        await client.through("ok");
        expect(origin.received).not.toContain("Expect");
        await client.send("GET /x HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n");
        expect(await client.head()).toStartWith("HTTP/1.1 417 ");
      },
    );
  });
});

describe("early responses", () => {
  test("the response goes out while the request is still coming; the rest of that is not the next request", async () => {
    const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    await withOrigin(
      async (wire) => {
        await wire.head();
        await wire.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        wire.close();
        await wire.closed();
      },
      async ({ client, origin }) => {
        await client.send(`POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * SMUGGLED.length}\r\n\r\n`);
        const head = await client.head();
        expect([head.slice(0, 12), field(head, "connection")]).toEqual(["HTTP/1.1 413", "close"]);
        expect(await client.exactly(3)).toBe("big");
        await client.send(SMUGGLED + SMUGGLED + SMUGGLED);
        expect(await client.rest()).toBe("");
        expect(origin.received).not.toContain("smuggled");
      },
    );
  });

  test("an origin that answers as it reads is heard as it speaks", async () => {
    await withOrigin(
      async (wire) => {
        await wire.head();
        await wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (let index = 0; index < 5; index++) {
          const text = await wire.exactly(6); // a chunk of one octet
          await wire.send(`1\r\n${text[3]}\r\n`);
        }
        await wire.through("0\r\n\r\n");
        await wire.send("0\r\n\r\n");
      },
      async ({ client }) => {
        await client.send("POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        await client.head();
        for (const letter of "hello") {
          await client.send(`1\r\n${letter}\r\n`);
          expect(await client.exactly(6)).toBe(`1\r\n${letter}\r\n`);
        }
        await client.send("0\r\n\r\n");
        expect(await client.through("0\r\n\r\n")).toBe("0\r\n\r\n");
      },
    );
  });
});

test("interim responses come before the response, not to HTTP/1.0, and no 100 that nobody asked for", async () => {
  await withOrigin(
    (wire) =>
      untilClosed(wire, async () => {
        for (;;) {
          await wire.head();
          await wire.send(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\n\r\n",
          );
          await wire.send("HTTP/1.1 102 Processing\r\n\r\n");
          await Bun.sleep(20);
          await wire.send(OK);
        }
      }),
    async ({ client, webproxy }) => {
      await client.send("DELETE /i HTTP/1.1\r\nHost: a\r\n\r\n");
      expect(await client.head()).toBe("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 webproxy\r\n\r\n");
      expect(await client.head()).toStartWith("HTTP/1.1 102 Processing\r\n");
      expect(await client.head()).toStartWith("HTTP/1.1 200 OK\r\n");
      using old = await Wire.connect(webproxy.http);
      await old.send("DELETE /i HTTP/1.0\r\n\r\n");
      expect(await old.rest()).toStartWith("HTTP/1.1 200 OK\r\n");
    },
  );
});

test("trailers come back with chunks, and an HTTP/1.0 client gets the content until the end of the connection", async () => {
  await withOrigin(
    (wire) =>
      untilClosed(wire, async () => {
        for (;;) {
          await wire.head();
          await wire.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
          );
        }
      }),
    async ({ client, webproxy }) => {
      await client.send("POST /t HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.head();
      expect(await client.through("\r\n\r\n")).toBe("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
      using old = await Wire.connect(webproxy.http);
      await old.send("POST /t HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
      const head = await old.head();
      expect([field(head, "connection"), field(head, "transfer-encoding")]).toEqual(["close", undefined]);
      expect(await old.rest()).toBe("hello");
    },
  );
});

describe("connections that break", () => {
  const PARTS: [string, string, boolean][] = [
    ["19 an origin that closes before Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", false],
    ["19 before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false],
    ["one whose content ends with the connection", "HTTP/1.1 200 OK\r\n\r\nhello", true],
  ];
  for (const [name, answer, isWhole] of PARTS) {
    test(`${name}: the client sees ${isWhole ? "all of it" : "that it is not whole"}`, async () => {
      await withOrigin(
        async (wire) => {
          await wire.head();
          await wire.send(answer);
          await Bun.sleep(50); // the first part is on its way
          wire.close();
          await wire.closed();
        },
        async ({ client }) => {
          await client.send("POST /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
          await client.closed();
          expect(client.received).toContain("hello");
          expect(client.received.endsWith("0\r\n\r\n")).toBe(isWhole);
        },
      );
    });
  }

  test("18 a second response to one request is dropped, and 17 so is content where none can be", async () => {
    const stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
    await withOrigin(
      (wire) =>
        untilClosed(wire, async () => {
          const head = await wire.head();
          const empty = head.startsWith("DELETE")
            ? "HTTP/1.1 204 No\r\n\r\n"
            : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
          await wire.send(empty + stray);
          await wire.closed();
        }),
      async ({ client, origin }) => {
        for (const method of ["POST", "DELETE", "POST"]) {
          await client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
          await client.through(method === "POST" ? "\r\n\r\nok" : "\r\n\r\n");
        }
        await Bun.sleep(50);
        expect(client.received).not.toContain("stray");
        expect(origin.wires.length).toBe(3);
      },
    );
  });

  test("a client that leaves takes its request back from the origin", async () => {
    await withOrigin(
      async (wire) => {
        await wire.through("partial");
        expect(await wire.closed()).toBeDefined();
      },
      async ({ client, origin }) => {
        await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npartial");
        await eventually(5_000, "the origin has the part", () => origin.received.endsWith("partial"));
        client.reset();
        await eventually(5_000, "the origin's connection is closed", () => origin.wires[0]!.ended !== "no");
      },
    );
  });

  test("content that ends before its end is refused, and the origin does not get it as whole", async () => {
    await withOrigin(
      async (wire) => {
        await wire.through("partial");
        await wire.closed();
      },
      async ({ client }) => {
        await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7\r\npartial\r\n");
        await Bun.sleep(20);
        client.end();
        expect(await client.rest()).toStartWith("HTTP/1.1 400 ");
      },
    );
  });

  test("an origin that is not there is a 502 that says why (RFC 9209)", async () => {
    const gone = new RawOrigin(async () => {});
    const { url } = gone;
    gone[Symbol.dispose]();
    await using webproxy = await Webproxy.start({ origin: url, args: ["--threads", "1"] });
    using client = await Wire.connect(webproxy.http);
    await client.send("POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    const head = await client.head();
    expect(head).toStartWith("HTTP/1.1 502 ");
    expect(field(head, "proxy-status")).toBe("webproxy; error=connection_refused");
    const counters = (await webproxy.stats()).proxy!.counters;
    expect([counters.passes, counters.originErrors]).toEqual([1, 1]);
  });
});

describe("back-pressure and memory", () => {
  /** The 1 GiB that is promised, in the long run. */
  const TOTAL = (IS_WHOLE ? 1024 : 256) * MIB;
  const GROWTH_MAX = 64 * MIB;
  const rssOf = (pid: number) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) * 1024;

  /** Samples the proxy's resident memory while `run` goes on; how much more it got than before. */
  async function growth(webproxy: Webproxy, run: () => Promise<void>): Promise<number> {
    const pid = (await webproxy.stats()).proxy!.pid;
    const before = rssOf(pid);
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, rssOf(pid));
    }, 5);
    await run().finally(() => clearInterval(timer));
    return most - before;
  }

  test("hundreds of MiB go up to an origin that stops reading now and then", async () => {
    let seen = 0;
    await withOrigin(
      async (wire) => {
        await wire.head();
        wire.counts = true;
        const from = wire.bytesReceived;
        const total = TOTAL - wire.unread.length;
        for (let pauses = 0; wire.bytesReceived - from < total; pauses++) {
          if (pauses % 20 === 3) {
            wire.pause();
            await Bun.sleep(100);
            wire.resume();
          }
          await Bun.sleep(5);
        }
        seen = wire.bytesReceived - from + wire.unread.length;
        await wire.send(OK);
      },
      async ({ client, webproxy }) => {
        const chunk = someBytes(MIB, 1);
        const grown = await growth(webproxy, async () => {
          await client.send(`PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: ${TOTAL}\r\n\r\n`);
          for (let sent = 0; sent < TOTAL; sent += chunk.length) expect(await client.send(chunk)).toBe(true);
          await client.through("ok");
        });
        expect(seen).toBe(TOTAL);
        expect(grown).toBeLessThan(GROWTH_MAX);
      },
    );
  }, 300_000);

  test("hundreds of MiB come down to a client that stops reading now and then", async () => {
    await withOrigin(
      async (wire) => {
        await wire.head();
        await wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
        const chunk = someBytes(MIB, 1);
        for (let sent = 0; sent < TOTAL; sent += chunk.length) await wire.send(chunk);
      },
      async ({ client, webproxy }) => {
        const grown = await growth(webproxy, async () => {
          await client.send("POST /down HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
          const head = await client.head();
          client.counts = true;
          for (let pauses = 0; client.ended === "no"; pauses++) {
            if (pauses % 20 === 3) {
              client.pause();
              await Bun.sleep(100);
              client.resume();
            }
            await Bun.sleep(5);
          }
          expect(client.bytesReceived).toBe(head.length + TOTAL);
        });
        expect(grown).toBeLessThan(GROWTH_MAX);
      },
    );
  }, 300_000);

  test("22 content that comes an octet at a time, and a reader of an octet at a time", async () => {
    await withOrigin(
      async (wire) => {
        await wire.head();
        const content = await wire.through("0\r\n\r\n");
        await wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n${content}`);
      },
      async ({ client }) => {
        const request =
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nquilt\r\n1\r\n!\r\n0\r\n\r\n"; // no letter of it is a chunk's size
        for (const octet of request) {
          await client.send(octet);
          await Bun.sleep(0);
        }
        await client.head();
        const content = await client.through("0\r\n\r\n");
        expect(content.replace(/[0-9a-f]+\r\n|\r\n/g, "")).toBe("quilt!");
      },
    );
  });
});
