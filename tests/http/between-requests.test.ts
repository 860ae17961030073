/** What a connection says, and does not say, between one request and the next. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const ARGS = ["--threads", "1", "--head-timeout", "1", "--idle-timeout", "4"];

async function withClient(run: (client: Wire) => Promise<void>): Promise<void> {
  using origin = new RawOrigin(async (wire) => {
    for (;;) {
      const head = await wire.head().catch(() => undefined);
      if (head === undefined) return;
      await wire.exactly(Number(field(head, "content-length") ?? 0));
      await wire.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${head.startsWith("HEAD ") ? "" : "ok"}`);
    }
  });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ARGS });
  using client = await Wire.connect(webproxy.http);
  await run(client);
  origin.check();
}

test("a 408 has the content that it announces, whatever was asked for before", async () => {
  await withClient(async (client) => {
    await client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.head();
    await client.send("GET /half HTTP/1.1\r\nHo");
    const head = await client.head();
    expect(head).toStartWith("HTTP/1.1 408 ");
    expect(await client.rest()).toHaveLength(Number(field(head, "content-length")));
  });
});

test("a line behind the content begins no request: the next one is answered, and nobody is told that his head is late", async () => {
  await withClient(async (client) => {
    for (const line of ["\r\n", "\r"]) {
      await client.send(`POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na${line}`);
      await client.through("\r\n\r\nok");
      await Bun.sleep(1_500); // longer than a head may take
      await client.send(`${line === "\r" ? "\n" : ""}GET /x HTTP/1.1\r\nHost: a\r\n\r\n`);
      await client.through("\r\n\r\nok");
    }
    await client.send("\r\n");
    expect(await client.rest()).toBe(""); // closed as idle, without a word
  });
});
