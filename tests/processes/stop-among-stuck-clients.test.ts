/**
 * CHECKLIST 65: a stop that is asked for while some clients read nothing, or never send the rest of what they began, and the origin owes an answer that never comes. Whoever goes on is served
 * to the end; the others are not waited for beyond the grace, by nobody, and nobody has to be killed over it.
 */
import { expect, test } from "bun:test";
import { Wire } from "../http/wire.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TIERS } from "../support/tiers.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const LARGE = someBytes(16 * 1024 * 1024, 65);
const WHOLE = { length: LARGE.length, sha256: sha256(LARGE), isComplete: true };
/** What comes, or goes, a piece at a time, most of it after the stop was asked for. */
const PIECE = someBytes(50_000, 66);
const PIECES = 20;
const PIECE_MS = 100;
const LONG = Buffer.concat(Array.from({ length: PIECES }, () => PIECE));
/** More than the grace, and than what the supervisor waits beyond it. */
const CLIENT_MS = 60_000;

function startOrigin(): Bun.Server<undefined> {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (request.method === "POST") return new Response(sha256(await request.bytes()));
      if (pathname === "/never") return new Promise<Response>(() => {});
      if (pathname === "/long") return new Response(inPieces());
      const fields = { "Cache-Control": pathname === "/private" ? "no-store" : "max-age=600" };
      return new Response(LARGE, { headers: fields });
    },
  });
}

async function* inPieces() {
  for (let piece = 0; piece < PIECES; piece++) {
    yield PIECE;
    await Bun.sleep(PIECE_MS);
  }
}

test("65 SIGTERM among clients that stand still: who goes on is finished with, and all is over in time and in order", async () => {
  await Promise.all(TIERS.map(({ args }) => stopAmongStuckClients(args)));
}, 120_000);

async function stopAmongStuckClients(tierArgs: readonly string[]): Promise<void> {
  using origin = startOrigin();
  const args = ["--segments", "16", "--segment-size", "64KiB", ...tierArgs];
  await using webproxy = await Webproxy.start({ origin: origin.url.origin, args });
  expect(await getfile(webproxy.getfile, "/large")).toMatchObject(WHOLE);

  const never = Promise.withResolvers<void>();
  const isStopping = Promise.withResolvers<void>();
  const stuckReading = ["/large", "/private"].flatMap((path) =>
    Array.from({ length: 4 }, () => {
      const behaviour = { pauseAfterBytes: { bytes: 1, until: never.promise }, timeoutMs: CLIENT_MS };
      return [http(webproxy.http, path, behaviour), getfile(webproxy.getfile, path, behaviour)];
    }),
  );
  const waiting = [
    http(webproxy.http, "/never", { timeoutMs: CLIENT_MS }),
    getfile(webproxy.getfile, "/never", { timeoutMs: CLIENT_MS }),
  ];
  using content = await sendTo(webproxy.http, "POST /stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome");
  using head = await sendTo(webproxy.http, "GET /large HTTP/1.1\r\nHost:");
  using line = await sendTo(webproxy.getfile, "GETFILE GET /lar");
  const goesOn = { pauseAfterBytes: { bytes: 1, until: isStopping.promise }, timeoutMs: CLIENT_MS };
  let longBytes = 0;
  const finishing = [
    http(webproxy.http, "/large", goesOn),
    getfile(webproxy.getfile, "/large", goesOn),
    http(webproxy.http, "/private", goesOn),
  ];
  const long = http(webproxy.http, "/long", {
    timeoutMs: CLIENT_MS,
    onBody: (chunk) => {
      longBytes += chunk.length;
    },
  });
  using upload = await sendTo(webproxy.http, `POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: ${LONG.length}\r\n\r\n`);
  await upload.send(PIECE);
  await eventually(CLIENT_MS, "the long response has begun", () => longBytes > 0);

  const ended = webproxy.stop("SIGTERM");
  await eventually(CLIENT_MS, "nobody is let in any more", async () => !(await isLetIn(webproxy.http)));
  isStopping.resolve();
  for (let piece = 1; piece < PIECES; piece++) {
    await Bun.sleep(PIECE_MS);
    await upload.send(PIECE);
  }
  expect(await upload.head()).toStartWith("HTTP/1.1 200 ");
  expect(await upload.rest()).toBe(sha256(LONG));
  for (const result of await Promise.all(finishing)) expect(result).toMatchObject(WHOLE);
  expect(await long).toMatchObject({ isComplete: true, sha256: sha256(LONG) });

  const { exitCode, stderr } = await ended;
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  expect(stderr).not.toContain("killing");
  await webproxy.expectNothingLeft(0);
  // Who stood still finds an end where there was one, and does not take it for the whole.
  never.resolve();
  for (const { isComplete } of await Promise.all(stuckReading.flat())) expect(isComplete).toBe(false);
  for (const { status, isComplete } of await Promise.all(waiting)) expect([status, isComplete]).not.toContain("200");
  for (const wire of [content, head, line]) await wire.closed();
}

async function sendTo(address: Parameters<typeof Wire.connect>[0], octets: string): Promise<Wire> {
  const wire = await Wire.connect(address);
  await wire.send(octets);
  return wire;
}

async function isLetIn(address: Parameters<typeof Wire.connect>[0]): Promise<boolean> {
  try {
    (await Wire.connect(address)).reset();
    return true;
  } catch {
    return false;
  }
}
