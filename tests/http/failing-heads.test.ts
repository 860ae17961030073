/** A response past the cache that can not be read to its end, where that shows in the read that has brought its head: nothing of it has gone out, and the client is told why. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
const WHOLE = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** By target: what comes in one write, and whether the connection ends there. */
const ANSWERS: Record<string, { octets: string; ends?: boolean }> = {
  "/chunk": { octets: `${CHUNKED}zz\r\n` },
  "/trailer": { octets: `${CHUNKED}0\r\nSet-Cookie: a=b\r\n\r\n` },
  "/interim": { octets: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${CHUNKED}zz\r\n` },
  "/cut": { octets: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", ends: true },
  "/whole": { octets: WHOLE },
};

let origin: RawOrigin;
let webproxy: Webproxy;
beforeAll(async () => {
  origin = new RawOrigin(async (wire) => {
    for (;;) {
      const head = await wire.head().catch(() => undefined);
      if (head === undefined) return;
      const { octets, ends = false } = ANSWERS[head.split(" ")[1]!]!;
      await wire.send(octets);
      if (ends) return wire.close();
    }
  });
  webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
});
afterAll(async () => {
  await webproxy?.[Symbol.asyncDispose]();
  origin.check();
  origin[Symbol.dispose]();
});

/** The final response's head, and its content. */
async function ask(client: Wire, target: string): Promise<{ head: string; content: string }> {
  await client.send(`POST ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
  let head = await client.head();
  while (head.startsWith("HTTP/1.1 1")) head = await client.head();
  return { head, content: await client.exactly(Number(field(head, "content-length"))) };
}

test.each([
  ["/chunk", "http_protocol_error"],
  ["/trailer", "http_protocol_error"],
  ["/interim", "http_protocol_error"],
])("%s is a 502 with %s, on a new connection and on one that goes on", async (target, error) => {
  using client = await Wire.connect(webproxy.http);
  for (let time = 0; time < 3; time++) {
    const { head, content } = await ask(client, target);
    expect(head).toStartWith("HTTP/1.1 502 ");
    expect(field(head, "proxy-status")).toContain(`error=${error}`);
    expect(content).not.toContain("abc");
    expect(await ask(client, "/whole")).toMatchObject({ content: "ok" });
  }
});

test("a body that ends too soon is a 502, or what came of it and an end that is none in order", async () => {
  for (let time = 0; time < 10; time++) {
    using client = await Wire.connect(webproxy.http);
    await client.send("POST /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    const head = await client.head();
    if (head.startsWith("HTTP/1.1 502 ")) {
      expect(field(head, "proxy-status")).toContain("error=http_response_incomplete");
      continue;
    }
    expect(field(head, "content-length")).toBe("9");
    expect((await client.rest()).length).toBeLessThan(9);
  }
});
