/** RFC 9110 section 7.6.2 where it can not be obeyed: such a request goes no further. */
import { expect, test } from "bun:test";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

test("TRACE and OPTIONS with a Max-Forwards in two lines, or that is no number, are refused and never forwarded", async () => {
  using origin = new RawOrigin(async (wire) => {
    for (;;) {
      await wire.head();
      await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  for (const method of ["TRACE", "OPTIONS"]) {
    for (const value of ["0\r\nMax-Forwards: 0", "0, 0", "none"]) {
      using client = await Wire.connect(webproxy.http);
      await client.send(`${method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: ${value}\r\n\r\n`);
      expect(await client.head()).toStartWith("HTTP/1.1 400 ");
      await client.closed();
    }
  }
  expect(origin.received).toBe("");
}, 60_000);
