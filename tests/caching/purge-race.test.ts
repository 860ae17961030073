/**
 * Purges race expiry, evictions, fills, validations, ranges and hits of all tiers: who asks after a purge has answered never gets a byte of
 * what was there before it, and nobody ever gets a mixture. Each body says its version in every line.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";
import { DecidingOrigin } from "./origin.ts";
import { get, purge, seededRandom } from "./support.ts";

setDefaultTimeout(120_000);

const PATHS = Array.from({ length: 12 }, (_, index) => `/${index % 3}/${index}`);
const CLIENTS = 12;
const PURGES = 60;
const LINE_BYTES = 32;

function bodyOf(path: string, version: number): Buffer {
  const lines = 20 + PATHS.indexOf(path) * 150; // up to 53 KB: some are hot, some go in several portions
  return Buffer.from(
    `${path} v${version} `
      .padEnd(LINE_BYTES - 1, ".")
      .concat("\n")
      .repeat(lines),
  );
}

/** The one version that all lines of a body are of. */
function versionOf(path: string, body: string): number {
  const versions = new Set<string>();
  for (let start = 0; start < body.length; start += LINE_BYTES) {
    versions.add(
      /^(\S+) v(\d+) /.exec(body.slice(start, start + LINE_BYTES))?.[0] ??
        `not a line: ${body.slice(start, start + LINE_BYTES)}`,
    );
  }
  expect([...versions]).toEqual([`${path} v${/ v(\d+) /.exec(body)?.[1]} `]);
  return Number(/ v(\d+) /.exec(body)?.[1]);
}

test("after a purge has answered, no stale byte", async () => {
  const seed = Date.now() % 2 ** 31;
  process.stdout.write(`seed ${seed}\n`);
  const random = seededRandom(seed);
  const versions = new Map(PATHS.map((path) => [path, 1]));
  await using origin = await DecidingOrigin.start(({ target, headers }) => {
    const version = versions.get(target) ?? 0;
    const fields = {
      // Some expire within the test, some are served stale meanwhile.
      "Cache-Control": ["max-age=600", "max-age=1", "max-age=1, stale-while-revalidate=60"][PATHS.indexOf(target) % 3]!,
      ETag: `"${version}"`,
      "Cache-Tag": `tag${target[1]}`,
    };
    if (headers["if-none-match"] === `"${version}"`) return { status: 304, headers: fields };
    const body = bodyOf(target, version);
    // The head and a part of the body are out, with this version, when the purge comes.
    return { headers: fields, body, pause: { afterBytes: body.length / 2, until: Bun.sleep(random() * 20) } };
  });
  // Little room: what is stored is evicted all the time.
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args: ["--memory", "320KiB", "--disk", "0", "--hot", "200KiB", "--segment-size", "8KiB", "--segments", "32"],
  });
  /** What a purge has promised: who asks from now on gets this version or a later one. */
  const promised = new Map<string, number>();
  let isOver = false;
  let requests = 0;
  const client = async () => {
    while (!isOver) {
      const path = PATHS[Math.floor(random() * PATHS.length)]!;
      const least = promised.get(path) ?? 1;
      const { status, body, cache, isComplete } = await get(webproxy.http, path);
      expect({ path, status, isComplete }).toEqual({ path, status: "200", isComplete: true });
      const version = versionOf(path, body);
      if (version < least)
        throw new Error(`${path}: version ${version} after a purge had promised ${least} (${cache})`);
      requests++;
    }
  };
  const purger = async () => {
    for (let time = 0; time < PURGES; time++) {
      const path = PATHS[Math.floor(random() * PATHS.length)]!;
      const by = Math.floor(random() * 4);
      const concerns = (one: string) => (by === 0 ? one === path : by === 1 || by === 2 ? one[1] === path[1] : true);
      const changed = PATHS.filter(concerns);
      for (const one of changed) versions.set(one, versions.get(one)! + 1);
      const selector = [{ url: path }, { tag: `tag${path[1]}` }, { prefix: `/${path[1]}/` }, { all: true }][by]!;
      await purge(webproxy, selector);
      for (const one of changed) promised.set(one, versions.get(one)!);
      await Bun.sleep(random() * 60);
    }
    isOver = true;
  };
  try {
    await Promise.all([purger(), ...Array.from({ length: CLIENTS }, client)]);
  } finally {
    isOver = true;
  }
  const stats = await webproxy.stats();
  const { cache, proxy, refusedMessages } = stats;
  process.stdout.write(
    `${requests} requests, ${cache?.counters.hits} hits, ${proxy?.counters.hotHits} hot, ${cache?.counters.evictions} evictions\n`,
  );
  expect(requests).toBeGreaterThan(PURGES);
  expect(cache?.counters.evictions).toBeGreaterThan(0);
  expect({ ...faultCounts(stats), refusedMessages }).toEqual({ ...NO_FAULTS, refusedMessages: 0 });
  await webproxy.segmentsReturned();
});
