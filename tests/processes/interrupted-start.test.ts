/**
 * Ctrl-C at any moment, of the start too, leaves nothing. Moments are drawn at random over the whole start and a little beyond it; the
 * seed is in the test's name.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";

const MOMENTS = 30;
const SEED = Math.floor(Math.random() * 2 ** 32);
const AT_ONCE = 2;

test(`SIGINT at ${MOMENTS} moments of the start leaves nothing and ends with 0 (seed ${SEED})`, async () => {
  await using origin = CountingOrigin.start();
  const started = performance.now();
  await (await Webproxy.start({ origin: origin.url }))[Symbol.asyncDispose]();
  const startMs = (performance.now() - started) * 1.2;
  const random = generator(SEED);
  const moments = Array.from({ length: MOMENTS }, () => random() * startMs);
  const interrupt = async (afterMs: number) => {
    await using webproxy = Webproxy.spawn({ origin: origin.url });
    await Bun.sleep(afterMs);
    const { exitCode, stderr } = await webproxy.stop("SIGINT");
    // Before its first line of code has run nobody handles a signal, and nothing has been made.
    const isBeforeTheFirstLine = exitCode === 130 && stderr === "" && webproxy.stdout === "";
    if (!isBeforeTheFirstLine) expect({ afterMs, exitCode, stderr }).toMatchObject({ afterMs, exitCode: 0 });
  };
  while (moments.length > 0) await Promise.all(moments.splice(0, AT_ONCE).map(interrupt));
}, 120_000);

test(`SIGTERM at ${MOMENTS / 2} moments of the start of either process alone leaves nothing (seed ${SEED})`, async () => {
  await using origin = CountingOrigin.start();
  const random = generator(SEED + 1);
  const interrupt = async (command: "proxy" | "cache") => {
    const afterMs = random() * 500;
    await using webproxy = Webproxy.spawn({ origin: origin.url, command });
    await Bun.sleep(afterMs);
    const { exitCode, stderr } = await webproxy.stop("SIGTERM");
    const isBeforeTheFirstLine = exitCode === 143 && stderr === "" && webproxy.stdout === "";
    if (!isBeforeTheFirstLine) expect({ afterMs, exitCode, stderr }).toMatchObject({ afterMs, exitCode: 0 });
  };
  for (let round = 0; round < MOMENTS / 2; round += AT_ONCE)
    await Promise.all([interrupt("proxy"), interrupt("cache")]);
}, 120_000);

test("Ctrl-C while a large file is on its way reaches the supervisor alone: the response is finished, then all end", async () => {
  using directory = new TempDirectory();
  const body = Buffer.alloc(4 * 1024 * 1024, "x");
  await Bun.write(directory.file("file"), body);
  await using webproxy = await Webproxy.start({ origin: directory.path, wrap: ["setsid"] });
  const { proxy, cache } = await webproxy.stats();
  for (const pid of [proxy!.pid, cache!.pid]) expect(groupAndSession(pid)).toEqual([pid, webproxy.pid]);
  const goOn = Promise.withResolvers<void>();
  let begun = false;
  const transfer = getfile(webproxy.getfile, "/file", {
    pauseAfterBytes: { bytes: 1, until: goOn.promise },
    onBody: () => {
      begun = true;
    },
  });
  while (!begun) await Bun.sleep(5);
  process.kill(-webproxy.pid, "SIGINT"); // as a terminal does
  const stopped = webproxy.stop("SIGINT");
  await Bun.sleep(300);
  goOn.resolve();
  expect(await transfer).toMatchObject({ length: body.length, bytes: body.length, isComplete: true });
  expect((await stopped).exitCode).toBe(0);
}, 120_000);

function groupAndSession(pid: number): number[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(2, 4)
    .map(Number);
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
