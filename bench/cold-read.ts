/**
 * What do a shard's other requests notice while a large body comes from a disk that does not have it in memory? One client takes a body that the kernel has been told to
 * forget, again and again, while another asks for a small one that is in the memory tier. One shard, so that both have to pass it. What a slow disk does shows in a
 * cgroup whose reads are held to a rate (blkio.throttle.read_bps_device, or io.max).
 *
 *   bun run bench/cold-read.ts [--mebibytes 512] [--rounds 3]
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { http } from "../tests/support/http-client.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";
import { describeTimes, percentile, timesUntil } from "./support/small-requests.ts";

const { values: given } = parseArgs({
  options: {
    mebibytes: { type: "string", default: "512" },
    rounds: { type: "string", default: "3" },
  },
});
const MIB = 2 ** 20;
const BYTES = Number(given.mebibytes) * MIB;
const WARM_MS = 2000;

console.log(machine());
using directory = new TempDirectory();
const store = directory.file("store");
await using origin = CountingOrigin.start();
const headers = { "Cache-Control": "max-age=360000" };
origin.set("/large", { body: someBytes(BYTES, 1), headers });
origin.set("/small", { body: someBytes(1000, 2), headers });
await using webproxy = await Webproxy.start({
  origin: origin.url,
  args: ["--cache-dir", store, "--hot", "0", "--memory", "64MiB", "--threads", "1", "--quiet"],
});
const small = `http://${webproxy.http.host}:${webproxy.http.port}/small`;
await takeLarge();
for (let use = 0; use < 3; use++) await http(webproxy.http, "/small");

const alone: string[] = [];
const beside = { cold: [] as number[], warm: [] as number[] };
for (let round = 0; round < Number(given.rounds); round++) {
  alone.push(describeTimes(await timesUntil(Bun.sleep(WARM_MS), small)));
  for (const kind of ["cold", "warm"] as const) {
    if (kind === "cold") forget();
    const startedMs = performance.now();
    const times = await timesUntil(takeLarge(), small);
    const seconds = (performance.now() - startedMs) / 1000;
    beside[kind].push(percentile(times, 0.99));
    console.log(`beside a ${kind} body, ${(BYTES / MIB / seconds).toFixed(0)} MiB/s: ${describeTimes(times)}`);
  }
}
for (const line of alone) console.log(`alone: ${line}`);
console.log(
  `p99, medians: ${median(beside.cold).toFixed(2)} ms beside a cold body, ${median(beside.warm).toFixed(2)} ms beside a warm one`,
);

/** By another process: this one would notice by itself what it does with the bytes. */
async function takeLarge(): Promise<void> {
  const url = `http://${webproxy.http.host}:${webproxy.http.port}/large`;
  const curl = Bun.spawn(["curl", "-sS", "--fail", "-o", "/dev/null", url], { stdio: ["ignore", "ignore", "inherit"] });
  if ((await curl.exited) !== 0) throw new Error("curl did not get the large body");
}

/** Has the kernel drop what it holds of the store's files (posix_fadvise by dd). */
function forget(): void {
  for (const name of readdirSync(store, { recursive: true, encoding: "utf8" })) {
    const path = join(store, name);
    if (statSync(path).size < MIB) continue;
    Bun.spawnSync(["dd", `if=${path}`, "iflag=nocache", "count=0"], { stderr: "ignore" });
    Bun.spawnSync(["dd", `of=${path}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"], { stderr: "ignore" });
  }
}
