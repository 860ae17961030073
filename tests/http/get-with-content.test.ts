/** CHECKLIST 13: a GET with content for what is stored. Whoever answers it, the content is never taken for a request, nor the next request for content. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { field, http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { Wire } from "./wire.ts";

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const targets: string[] = [];
const FRAMINGS: readonly (readonly [framing: string, line: string, content: string])[] = [
  ["by length", `Content-Length: ${SMUGGLED.length}`, SMUGGLED],
  ["in chunks", "Transfer-Encoding: chunked", `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`],
];

let origin: Bun.Server<undefined>;
const running: Webproxy[] = [];
beforeAll(async () => {
  origin = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      targets.push(new URL(request.url).pathname);
      await request.text();
      return new Response("stored", { headers: { "Cache-Control": "max-age=600" } });
    },
  });
  for (const args of [[], ["--hot", "0"]])
    running.push(
      await Webproxy.start({ origin: `http://127.0.0.1:${origin.port}`, args: ["--threads", "1", ...args] }),
    );
}, 90_000);
afterAll(async () => {
  for (const webproxy of running) await webproxy[Symbol.asyncDispose]();
  await origin?.stop(true);
}, 90_000);

for (const [index, tier] of ["hot", "stored"].entries())
  for (const [framing, line, content] of FRAMINGS)
    for (const how of ["at once", "in pieces"] as const) {
      test(`13 a GET with content ${framing}, ${how}, for what is ${tier}: two requests are two answers, and what the content says is no request`, async () => {
        const webproxy = running[index]!;
        for (let time = 0; time < 3; time++) await http(webproxy.http, "/stored");
        expect(field((await http(webproxy.http, "/stored")).head, "cache-status")).toStartWith("webproxy; hit");
        using client = await Wire.connect(webproxy.http);
        const head = "GET /stored HTTP/1.1\r\nHost: a\r\n";
        const pieces = [
          `${head}${line}\r\n\r\n`,
          content.slice(0, 20),
          content.slice(20),
          `${head}Connection: close\r\n\r\n`,
        ];
        for (const piece of how === "at once" ? [pieces.join("")] : pieces) {
          await client.send(piece);
          if (how === "in pieces") await Bun.sleep(20);
        }
        // Both are answered, or the first and then the connection is closed.
        const said = await client.rest();
        const answers = said.split("HTTP/1.1 ").slice(1);
        expect(answers.length).toBeWithin(1, 3);
        for (const answer of answers) expect(answer).toMatch(/^200 OK\r\n[\s\S]*\r\n\r\nstored$/);
        expect(targets).not.toContain("/smuggled");
      });
    }
