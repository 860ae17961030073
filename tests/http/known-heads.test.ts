/** Heads that come again are known by their octets and not read again: what depends on more than the octets must differ all the same. */
import { describe, expect, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

const ROUNDS = 4;
const OK = "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 10:00:00 GMT\r\nContent-Length: 2\r\n\r\n";

/** An origin that answers each request with the head {@link OK}, and remembers what it was asked. */
function recordingOrigin(): { origin: RawOrigin; heads: string[]; contents: string[] } {
  const heads: string[] = [];
  const contents: string[] = [];
  const origin = new RawOrigin(async (wire) => {
    for (;;) {
      const head = await wire.head().catch((error: unknown) => {
        if (wire.ended === "no") throw error;
        return undefined;
      });
      if (head === undefined) return;
      heads.push(head);
      contents.push(await wire.exactly(Number(field(head, "content-length") ?? 0)));
      await wire.send(head.startsWith("HEAD ") ? OK : `${OK}ok`);
    }
  });
  return { origin, heads, contents };
}

describe("a head that comes again", () => {
  test("names the client that it comes from now", async () => {
    const { origin, heads } = recordingOrigin();
    using _ = origin;
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
    for (let round = 0; round < ROUNDS; round++) {
      for (const address of ["127.0.0.1", "127.0.0.2"]) {
        const url = `http://127.0.0.1:${webproxy.http.port}/a`;
        const command = ["curl", "-sS", "--max-time", "10", "--interface", address, "-X", "POST", url];
        const curl = Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
        expect(await new Response(curl.stdout).text()).toBe("ok");
        expect([round, field(heads.at(-1)!, "x-forwarded-for")]).toEqual([round, address]);
        expect(field(heads.at(-1)!, "forwarded")).toContain(`for=${address};`);
      }
    }
    origin.check();
  });

  test("has content of its own, in the same piece or behind it, and its connection goes on", async () => {
    const { origin, contents } = recordingOrigin();
    using _ = origin;
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
    using client = await Wire.connect(webproxy.http);
    const head = "POST /a HTTP/1.1\r\nHost: front\r\nContent-Length: 3\r\n\r\n";
    const expected: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      expected.push(`1${round}1`, `2${round}2`, `3${round}3`);
      await client.send(`${head}1${round}1`);
      expect(await client.head()).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(await client.exactly(2)).toBe("ok");
      await client.send(head);
      await Bun.sleep(20);
      await client.send(`2${round}2`);
      expect(await client.head()).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(await client.exactly(2)).toBe("ok");
      await client.send(head);
      await Bun.sleep(20);
      await client.send(`3${round}3POST /b HTTP/1.1\r\nHost: front\r\n\r\n`); // and a request that follows at once
      for (let answer = 0; answer < 2; answer++) {
        expect(await client.head()).toStartWith("HTTP/1.1 200 OK\r\n");
        expect(await client.exactly(2)).toBe("ok");
      }
      expected.push("");
    }
    expect(contents).toEqual(expected);
    origin.check();
  });

  test("of a response is framed by what was asked: an answer to HEAD has no content", async () => {
    const { origin } = recordingOrigin();
    using _ = origin;
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
    using client = await Wire.connect(webproxy.http);
    for (let round = 0; round < ROUNDS; round++) {
      // With content, so that it passes as the others do.
      await client.send("HEAD /a HTTP/1.1\r\nHost: front\r\nContent-Length: 1\r\n\r\nx");
      expect(field(await client.head(), "content-length")).toBe("2");
      for (const method of ["POST", "PROPFIND"]) {
        await client.send(`${method} /a HTTP/1.1\r\nHost: front\r\n\r\n`);
        expect(field(await client.head(), "content-length")).toBe("2");
        expect(await client.exactly(2)).toBe("ok");
      }
    }
    origin.check();
  });

  test("says by one field less or more what goes on to the origin", async () => {
    const { origin, heads } = recordingOrigin();
    using _ = origin;
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
    using client = await Wire.connect(webproxy.http);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [connection, expected] of [
        ["keep-alive", "1"],
        ["X-Own", undefined],
      ] as const) {
        await client.send(`POST /a HTTP/1.1\r\nHost: front\r\nConnection: ${connection}\r\nX-Own: 1\r\n\r\n`);
        expect(await client.head()).toStartWith("HTTP/1.1 200 OK\r\n");
        expect(await client.exactly(2)).toBe("ok");
        expect([round, field(heads.at(-1)!, "x-own")]).toEqual([round, expected]);
      }
    }
    // The last request on a connection says so, however often the same has been sent without.
    await client.send("POST /a HTTP/1.1\r\nHost: front\r\nConnection: close\r\nX-Own: 1\r\n\r\n");
    expect(field(await client.head(), "connection")).toBe("close");
    expect(await client.rest()).toBe("ok");
    origin.check();
  });
});
