/**
 * How long a client waits for 1 KiB while very many others are connected and say nothing, or come and go: 50 requests a second each of something hot over HTTP,
 * over GETFILE, and of something new. Prints milliseconds from the decision to connect to the last byte.
 *
 *   bun run load [--idle 10000] [--silent 3000] [--coming 1000000] [--seconds 10]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child } from "../chaos/child.ts";
import { PROBES, type ProberReport } from "../chaos/prober-process.ts";
import { Webproxy } from "../support/webproxy.ts";
import { connectAndClose, crowd } from "./crowd.ts";

const { values } = parseArgs({
  options: {
    idle: { type: "string", default: "10000" },
    silent: { type: "string", default: "3000" },
    coming: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "10" },
  },
});
const [idle, silent, coming, seconds] = [values.idle, values.silent, values.coming, values.seconds].map(Number) as [
  number,
  number,
  number,
  number,
];

const CHAOS = join(import.meta.dir, "../chaos");
await using origin = new Child<{ port?: number }>(join(CHAOS, "origin-process.ts"));
const { port } = await origin.heard();
await using webproxy = await Webproxy.start({ origin: `http://127.0.0.1:${port}`, args: ["--idle-timeout", "3600"] });
await using prober = new Child<ProberReport>(join(CHAOS, "prober-process.ts"), {
  args: [String(webproxy.http.port), String(webproxy.getfile.port)],
});
await prober.heard();

async function measure(what: string, during: () => Promise<unknown>): Promise<void> {
  await prober.ask("report");
  const started = performance.now();
  await during();
  const report = await prober.ask("report");
  console.log(`${what} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
  for (const name of PROBES) {
    const { served, failed, p50Ms, p99Ms, maxMs } = report[name];
    const figures = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1)).join(" / ");
    console.log(`  ${name.padEnd(8)} p50/p99/max ${figures} ms, ${served} served, ${failed} not`);
  }
}

const wait = () => Bun.sleep(seconds * 1000);
await Bun.sleep(1000);
await measure("nobody else", wait);
{
  using _crowd = await crowd(webproxy.http, idle);
  await measure(`${idle} idle connections`, wait);
}
{
  using _crowd = await crowd(webproxy.getfile, silent, "GETFILE GET /half");
  await measure(`${silent} silent GETFILE clients`, () => Bun.sleep(Math.min(seconds, 8) * 1000));
}
if (coming > 0) {
  let refused = 0;
  await measure(`${coming} connections that are closed at once`, async () => {
    const both = [webproxy.http, webproxy.getfile].map((address) => connectAndClose(address, coming / 2, 32));
    refused = (await Promise.all(both)).reduce((sum, one) => sum + one);
  });
  console.log(`  ${refused} of them were not accepted`);
}
const { restarts, stalls } = await webproxy.stats();
console.log(JSON.stringify({ restarts, stalls }));
