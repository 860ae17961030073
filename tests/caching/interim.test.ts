/** Interim responses go through the cache to the one who asked; only final ones are stored (RFC 9110 section 15.2). */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Address } from "../support/address.ts";
import { Webproxy } from "../support/webproxy.ts";
import { within } from "../support/within.ts";

setDefaultTimeout(60_000);

const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-Hop: 1\r\nConnection: X-Hop\r\n\r\n";
const PROCESSING = "HTTP/1.1 102 Processing\r\n\r\n";

/** All that comes for one request until the server closes; `onData` sees it as it comes. */
async function raw(address: Address, request: string, onData: (received: string) => void = () => {}): Promise<string> {
  const closed = Promise.withResolvers<string>();
  let received = "";
  const socket = await Bun.connect({
    hostname: address.host,
    port: address.port,
    socket: {
      data(_, chunk) {
        received += Buffer.from(chunk).toString("latin1");
        onData(received);
      },
      end: (one) => void one.end(),
      close: () => closed.resolve(received),
      error: () => closed.resolve(received),
    },
  });
  socket.write(request);
  return within(20_000, `the response to ${request}`, closed.promise);
}

test("102 and 103 reach the client before the response is there, twice too, and are not stored", async () => {
  let requests = 0;
  const gate = Promise.withResolvers<void>();
  using origin = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      async data(socket) {
        requests++;
        socket.write(PROCESSING);
        await Bun.sleep(60); // longer than a segment is held for a slow origin
        socket.write(HINTS);
        if (requests === 1) await gate.promise;
        socket.write("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 5\r\n\r\nfinal");
      },
    },
  });
  await using webproxy = await Webproxy.start({ origin: `http://127.0.0.1:${origin.port}` });
  const ask = (version: string, path: string, onData?: (received: string) => void) =>
    raw(webproxy.http, `GET ${path} HTTP/${version}\r\nHost: x\r\nConnection: close\r\n\r\n`, onData);

  const first = await ask("1.1", "/x", (received) => {
    if (received.includes(" 103 ")) gate.resolve(); // the origin goes on only when the client has the hints
  });
  const [processing = "", hints = "", head = "", ...body] = first.split("\r\n\r\n");
  expect(processing).toStartWith("HTTP/1.1 102 Processing");
  expect(hints).toStartWith("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nVia: 1.1 webproxy");
  expect(hints).not.toContain("X-Hop");
  expect(head).toStartWith("HTTP/1.1 200 OK");
  expect(head).toContain("Cache-Status: webproxy; fwd=uri-miss; stored");
  expect(body).toEqual(["final"]);

  for (let time = 0; time < 6; time++)
    expect(await ask("1.1", "/x")).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*; hit[\s\S]*\r\n\r\nfinal$/);
  expect(requests).toBe(1);
  // HTTP/1.0 knows no interim responses.
  expect(await ask("1.0", "/y")).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nfinal$/);
  await webproxy.segmentsReturned();
});
