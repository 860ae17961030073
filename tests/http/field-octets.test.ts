/** RFC 9110 section 5.5: a field's value is octets. What stands around it is spaces and tabs, and nothing else that a text has for blanks. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

setDefaultTimeout(60_000);

/** One char for each octet: "voilà" in UTF-8 ends in one that Latin-1 calls a blank. */
const VALUES = ["voil\xc3\xa0", "\xa0n=\xa0x\xa0", "\xa0", "\x85a\x85", "a \xa0 b"];

test("values come through the cache and past it octet by octet, both ways, and tell stored responses apart", async () => {
  let asked = 0;
  using origin = new RawOrigin(async (wire) => {
    for (;;) {
      const head = await wire.head().catch(() => undefined);
      if (head === undefined) return;
      asked++;
      const value = field(head, "x-name")!;
      const kept = "Cache-Control: max-age=600\r\nVary: X-Name\r\nContent-Length: 2\r\n";
      await wire.send(`HTTP/1.1 200 OK\r\nX-Said: \t${value} \r\n${kept}\r\nok`);
    }
  });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  using client = await Wire.connect(webproxy.http);
  const ask = async (method: string, value: string) => {
    await client.send(`${method} /x HTTP/1.1\r\nHost: a\r\nX-Name:  ${value}\t\r\n\r\n`);
    const head = await client.head();
    await client.exactly(2);
    return field(head, "x-said");
  };
  for (const method of ["GET", "GET", "GET", "DELETE"])
    for (const value of VALUES) expect([method, await ask(method, value)]).toEqual([method, value]);
  expect(asked).toBe(2 * VALUES.length); // each once to be stored, and once past the cache
  origin.check();
});
