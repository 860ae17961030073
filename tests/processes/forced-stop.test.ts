/**
 * Who asks a second time does not want to wait: what still runs is killed, and nothing of it is left, although the supervisor itself had been reading some of it.
 */
import { expect, test } from "bun:test";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { type Stats, Webproxy } from "../support/webproxy.ts";

/** Longer than two signals may be apart and still be the same wish. */
const ASKED_AGAIN_MS = 1_300;

for (const { what, args } of [
  { what: "alone", args: [] },
  { what: "with an access log", args: ["--access-log", "/dev/null"] },
]) {
  for (const side of ["proxy", "cache"] as const) {
    test(`a second SIGTERM ends a ${side} that does not end by itself, and nothing is left (${what})`, async () => {
      await using origin = CountingOrigin.start();
      origin.set("/file", { body: Buffer.alloc(100_000, "x"), headers: { "Cache-Control": "max-age=600" } });
      await using webproxy = await Webproxy.start({ origin: origin.url, args });
      expect((await http(webproxy.http, "/file")).isComplete).toBe(true);
      process.kill(pidOf(await webproxy.stats(), side), "SIGSTOP");
      webproxy.kill("SIGTERM");
      await Bun.sleep(ASKED_AGAIN_MS);
      webproxy.kill("SIGTERM");
      const { exitCode, stderr } = await webproxy.ended();
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      expect(stderr).toContain(`killing the ${side} process, which does not end`);
      await webproxy.expectNothingLeft(0);
    }, 120_000);
  }
}

function pidOf(stats: Stats, side: "proxy" | "cache"): number {
  const process = stats[side];
  if (process === null) throw new Error(`there is no ${side}`);
  return process.pid;
}
