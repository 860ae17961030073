/**
 * CHECKLIST 66: the clock of both processes jumps by a day, forward and back, under load. What is served is right, nothing hangs and nobody is killed; and a response that may be used
 * for two seconds is not used for a day because the clock has been set back. (Needs gcc, which .ci/run installs.)
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { field, http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";

const DAY_S = 24 * 60 * 60;
const LIFETIME_MS = 2_000;
const BODY = someBytes(200_000, 66);
const whole = { sha256: sha256(BODY), isComplete: true };
const CLIENTS = 4;

let directory: TempDirectory;
beforeAll(() => {
  directory = new TempDirectory({ mode: 0o755 });
  const source = join(import.meta.dir, "../support/moved-clock.c");
  const built = Bun.spawnSync(["gcc", "-O2", "-shared", "-fPIC", "-o", directory.file("moved-clock.so"), source]);
  if (built.exitCode !== 0) throw new Error(`Cannot build ${source}: ${built.stderr}`);
});
afterAll(() => directory?.[Symbol.dispose]());

/** The clock of whoever is started with its `env`. */
class MovedClock implements Disposable {
  readonly env: Record<string, string>;
  readonly #fildes: number;
  seconds = 0;

  constructor(name: string) {
    const file = directory.file(name);
    writeFileSync(file, Buffer.alloc(8), { mode: 0o644 });
    this.#fildes = openSync(file, "r+");
    this.env = { LD_PRELOAD: directory.file("moved-clock.so"), CLOCK_OFFSET_FILE: file };
  }

  jump(seconds: number): void {
    this.seconds += seconds;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(this.seconds));
    writeSync(this.#fildes, bytes, 0, 8, 0);
  }

  /** As an origin whose clock is right would date it. */
  get date(): string {
    return new Date(Date.now() + this.seconds * 1000).toUTCString();
  }

  [Symbol.dispose](): void {
    closeSync(this.#fildes);
  }
}

for (const [where, ...args] of [["with all tiers"], ["from the disk", "--hot", "0", "--memory", "0"]] as const)
  test(`66 the clock jumps a day, ${where}: all are served, and nothing is fresh for longer than it may be`, async () => {
    using clock = new MovedClock(where.replaceAll(" ", "-"));
    await using origin = CountingOrigin.start();
    const lasting = (seconds: number) => () => ({
      body: BODY,
      headers: { Date: clock.date, "Cache-Control": `max-age=${seconds}` },
    });
    origin.set("/short", lasting(LIFETIME_MS / 1000));
    origin.set("/long", lasting(10 * DAY_S));
    await using webproxy = await Webproxy.start({ origin: origin.url, args: [...args], env: clock.env });
    const get = (path: string) => http(webproxy.http, path);
    let isOver = false;
    const load = Array.from({ length: CLIENTS }, async (_, client) => {
      while (!isOver) {
        expect(await (client % 2 === 0 ? get("/long") : getfile(webproxy.getfile, "/long"))).toMatchObject(whole);
        await Bun.sleep(10);
      }
    });
    try {
      for (const jump of [DAY_S, -DAY_S, -DAY_S]) {
        expect(await get("/short")).toMatchObject(whole);
        clock.jump(jump);
        expect(await get("/short")).toMatchObject(whole);
        const asked = origin.count("/short");
        await Bun.sleep(LIFETIME_MS + 500);
        const got = await get("/short");
        expect(got).toMatchObject(whole);
        expect({ jump, asked: origin.count("/short") > asked }).toEqual({ jump, asked: true });
        // And it is the clock of the jump that it goes by.
        const told = Date.parse(field(got.head, "date") ?? "");
        expect(Math.abs(told - Date.now() - clock.seconds * 1000)).toBeLessThan(DAY_S * 500);
      }
    } finally {
      isOver = true;
    }
    await Promise.all(load);
    const { restarts, proxy, cache } = await webproxy.stats();
    expect({ restarts, isServing: proxy?.state === "serving" && cache?.state === "serving" }).toEqual({
      restarts: { proxy: 0, cache: 0 },
      isServing: true,
    });
    await webproxy.segmentsReturned();
  }, 90_000);
