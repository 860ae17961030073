/** RFC 9110 section 7.6.3: every hop says in Via in which version it has received a message, both ways, also of what is stored. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

setDefaultTimeout(60_000);

/** Speaks the version that the target names, and says `Via` as the target does. */
async function answer(wire: Wire): Promise<void> {
  const head = await wire.head();
  const [, minor, via = ""] = /\/([01])\/([^?\s]*)\S* HTTP/.exec(head)!;
  const isKnown = head.includes("If-None-Match");
  const said = via === "" ? "" : `Via: ${decodeURIComponent(via)}\r\n`;
  const fields = `ETag: "a"\r\nCache-Control: max-age=${isKnown ? 600 : 0}\r\n${said}Connection: close\r\n`;
  await wire.send(
    `HTTP/1.${minor} ${isKnown ? 304 : 200} x\r\n${fields}Content-Length: 2\r\n\r\n${isKnown ? "" : "ok"}`,
  );
  wire.close();
}

let origin: RawOrigin;
let webproxy: Webproxy;
beforeAll(async () => {
  origin = new RawOrigin(answer);
  webproxy = await Webproxy.start({ origin: origin.url });
});
afterAll(async () => {
  await webproxy[Symbol.asyncDispose]();
  origin.check();
  origin[Symbol.dispose]();
});

async function ask(request: string): Promise<string> {
  using client = await Wire.connect(webproxy.http);
  await client.send(`${request}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  const head = await client.head();
  expect(await client.rest()).toBe("ok");
  return head;
}
const viasOf = (head: string) => [...head.matchAll(/^Via: (.*)\r$/gim)].map(([, value]) => value);

for (const minor of [0, 1]) {
  const own = `1.${minor} webproxy`;
  test.each(["", "1.1 other", "1.0 webproxy", "1.1 webproxy"])(
    `a response that came in HTTP/1.${minor} with Via %p: missed, validated, hit and passed`,
    async (via) => {
      const target = `/${minor}/${encodeURIComponent(via)}`;
      const expected = [...(via === "" ? [] : [via]), own];
      for (const cache of ["fwd=uri-miss", "fwd=stale", "hit", "hit"]) {
        const head = await ask(`GET ${target} HTTP/1.1`);
        expect(field(head, "cache-status")).toContain(cache);
        expect(viasOf(head)).toEqual(expected);
      }
      expect(viasOf(await ask(`DELETE ${target} HTTP/1.1`))).toEqual(expected);
    },
  );
}

test.each([
  ["GET", "/1/"],
  ["DELETE", "/1/"],
])("a %s goes on with the version that its client spoke, behind what the client said", async (method, path) => {
  for (const [index, version] of ["1.0", "1.1"].entries()) {
    await ask(`${method} ${path}?${index} HTTP/${version}\r\nVia: 1.1 before`);
    const seen = origin.wires.at(-1)!.received;
    expect(viasOf(seen)).toEqual(["1.1 before", `${version} webproxy`]);
  }
});
