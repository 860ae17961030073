/**
 * Mixed load while the cache is killed with SIGKILL every few seconds: each body that comes whole has to be, byte for byte, one that the origin had, of
 * the version that its own head says; and two seconds after each restart the hit ratio has to be back.
 *
 *   bun run soak:store [--minutes 5] [--kill-every 4] [--clients 16]
 *
 * Ends with 1 when a byte was wrong, an answer failed to come, or the store did not come back warm.
 */
import { parseArgs } from "node:util";
import { sha256 } from "../support/bytes.ts";
import { SoakProgress } from "../support/soak-progress.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { bodyOf, isBodyOf, SoakOrigin } from "./soak-origin.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    "kill-every": { type: "string", default: "4" },
    clients: { type: "string", default: "16" },
  },
});
const PATHS = 600;
const VERSION_MS = 60_000;
const WARM_UP_MS = 5_000;
/** Of the requests that come two seconds after a restart and later, at least this part of what it was before has to be hits. */
const WARM_SHARE = 0.9;

const counts = { whole: 0, broken: 0, refused: 0, wrong: 0, kills: 0 };
let window = { requests: 0, hits: 0 };
let stopped = false;

/** One client: popular paths most of the time. */
async function client(webproxy: Webproxy): Promise<void> {
  while (!stopped) {
    const path = `/soak/${Math.floor(PATHS * Math.random() ** 3)}`;
    try {
      const response = await fetch(`http://${webproxy.http.host}:${webproxy.http.port}${path}`, {
        signal: AbortSignal.timeout(20_000),
      });
      const bytes = await response.bytes();
      if (response.status !== 200) {
        counts.refused++;
        await Bun.sleep(20);
        continue;
      }
      counts.whole++;
      window.requests++;
      if (/webproxy; hit/.test(response.headers.get("cache-status") ?? "")) window.hits++;
      const version = Number(response.headers.get("x-version"));
      if (isBodyOf(bytes, path, version)) continue;
      counts.wrong++;
      progress.clear();
      console.error(
        `WRONG BYTES: ${path} version ${version}: ${bytes.length} bytes ${sha256(bytes)}, not ${sha256(bodyOf(path, version))}`,
      );
    } catch (error) {
      if ((error as Error).name === "TimeoutError") {
        counts.wrong++;
        progress.clear();
        console.error(`NO ANSWER in 20 s: ${path}`);
      } else counts.broken++;
    }
  }
}

async function hitRatioFor(ms: number): Promise<number> {
  window = { requests: 0, hits: 0 };
  await Bun.sleep(ms);
  return window.hits / Math.max(1, window.requests);
}

using origin = new SoakOrigin(VERSION_MS);
// Without the hot tier, or the proxy would answer with what it has kept itself.
await using webproxy = await Webproxy.start({
  origin: origin.url,
  args: ["--hot", "0", "--memory", "32MiB", "--disk", "256MiB"],
});
using progress = new SoakProgress({
  label: "soak:store",
  seconds: WARM_UP_MS / 1000 + Number(values.minutes) * 60,
  counts: () => `${counts.kills} kills, ${counts.whole} whole, ${counts.wrong} wrong, ${counts.broken} broken off`,
});
const clients = Array.from({ length: Number(values.clients) }, () => client(webproxy));
await Bun.sleep(WARM_UP_MS);
const endMs = Date.now() + Number(values.minutes) * 60_000;
let coldest = 1;
while (Date.now() < endMs) {
  const before = await hitRatioFor((Number(values["kill-every"]) * 1000) / 2);
  const { cache } = await webproxy.stats();
  process.kill(cache!.pid, "SIGKILL");
  counts.kills++;
  await eventually(20_000, "the cache is back", async () => {
    const again = (await webproxy.stats()).cache;
    return again !== null && again.pid !== cache!.pid && again.state === "serving";
  });
  await Bun.sleep(2_000);
  const after = await hitRatioFor((Number(values["kill-every"]) * 1000) / 2);
  coldest = Math.min(coldest, after / before);
  progress.say(
    `kill ${counts.kills}: hit ratio ${(before * 100).toFixed(1)} % before, ${(after * 100).toFixed(1)} % of ${window.requests} requests from 2 s after the restart on; ${JSON.stringify(counts)}`,
  );
}
stopped = true;
await Promise.all(clients);
const { cache } = await webproxy.stats();
progress.say(
  `${counts.kills} kills, ${counts.whole} whole responses, ${counts.broken} broken off, ${counts.refused} refused, ${counts.wrong} wrong; stored broken in the last life: ${cache?.counters.storedBroken}`,
);
progress.say(`the coldest restart came back to ${(coldest * 100).toFixed(0)} % of the hit ratio before it`);
process.exitCode = counts.wrong === 0 && coldest >= WARM_SHARE ? 0 : 1;
