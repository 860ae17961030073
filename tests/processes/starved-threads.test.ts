/** All of webproxy's threads and more programs than these want one processor: nobody is taken for hanging who merely waits for it, and one that hangs is found all the same. */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { blockThread, spinThread } from "../support/thread-fault.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const ON_ONE_PROCESSOR = ["taskset", "-c", "0"];
const LOOPS = 6;
const FILES = 8;
const CLIENTS = 24;
const STARVED_MS = 6_000;
const SOON_MS = 60_000;
const BODY = someBytes(60_000, 3);
const whole = { length: BODY.length, sha256: sha256(BODY), isComplete: true };

class Loops implements AsyncDisposable {
  readonly #loops = Array.from({ length: LOOPS }, () =>
    Bun.spawn([...ON_ONE_PROCESSOR, "timeout", "100", "sh", "-c", "while :; do :; done"]),
  );

  async [Symbol.asyncDispose](): Promise<void> {
    for (const loop of this.#loops) loop.kill("SIGTERM"); // timeout(1) passes it on
    await Promise.all(this.#loops.map((loop) => loop.exited));
  }
}

test("threads that get a tenth of a processor are not replaced; one that then hangs is", async () => {
  await using origin = CountingOrigin.start();
  for (let file = 0; file < FILES; file++)
    origin.set(`/${file}`, { body: BODY, headers: { "Cache-Control": "max-age=600" } });
  const args = ["--threads", "4", "--segments", "16", "--segment-size", "8KiB", "--hot", "0"];
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args,
    wrap: ON_ONE_PROCESSOR,
  });
  await using _loops = new Loops();
  for (const endMs = performance.now() + STARVED_MS; performance.now() < endMs; ) {
    const served = Array.from({ length: CLIENTS }, (_, client) =>
      client % 2 === 0 ? getfile(webproxy.getfile, `/${client % FILES}`) : http(webproxy.http, `/${client % FILES}`),
    );
    for (const got of await Promise.all(served)) expect(got).toMatchObject(whole);
  }
  const before = await webproxy.stats();
  expect(before.restarts).toEqual({ proxy: 0, cache: 0 });
  await spinThread(before.proxy!.pid, "proxy 1");
  await blockThread(before.cache!.pid, "cache 1");
  await eventually(SOON_MS, "both have been replaced", async () => {
    const { proxy, cache } = await webproxy.stats();
    const isAnother = (side: typeof proxy | typeof cache, former: typeof proxy | typeof cache) =>
      side?.state === "serving" && side.pid !== former?.pid;
    return isAnother(proxy, before.proxy) && isAnother(cache, before.cache);
  });
}, 150_000);
