/**
 * How long a client waits for 1 KiB while very many others are connected and say nothing, or come and go: 50 requests a second each of something hot over HTTP,
 * over GETFILE, and of something new. Prints milliseconds from the decision to connect to the last byte, and what of its two processors' time each took. Those who come and go do
 * the same to an nginx with two workers that has the 1 KiB in a file, if there is one on the PATH.
 *
 *   bun run load [--idle 10000] [--silent 3000] [--coming 1000000] [--seconds 10]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { childrenOf, find, nginx, ticksOf } from "../../bench/support/peers.ts";
import { Child } from "../chaos/child.ts";
import { pathOf } from "../chaos/content.ts";
import { PROBES, type ProbeReport, type ProberReport } from "../chaos/prober-process.ts";
import type { Address } from "../support/address.ts";
import { freePort } from "../support/free-port.ts";
import { TempDirectory } from "../support/temp-directory.ts";
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
    console.log(`  ${name.padEnd(8)} ${figuresOf(report[name])}`);
  }
}

function figuresOf({ served, failed, p50Ms, p99Ms, maxMs }: ProbeReport): string {
  const figures = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1)).join(" / ");
  return `p50/p99/max ${figures} ms, ${served} served, ${failed} not`;
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
  const { proxy } = await webproxy.stats();
  await measure(`${coming} connections that are closed at once`, () =>
    flood([webproxy.http, webproxy.getfile], [proxy!.pid]),
  );
}
const { restarts, stalls } = await webproxy.stats();
console.log(JSON.stringify({ restarts, stalls }));
if (coming > 0 && find("nginx") !== null) await floodNginx();

/** Half of them come to each address. Says what processor time it took besides. */
async function flood(addresses: readonly [Address, Address], pids: readonly number[]): Promise<void> {
  const started = performance.now();
  const before = [ticksOf(pids), ticksOf([process.pid])] as const;
  const refused = await Promise.all(addresses.map((address) => connectAndClose(address, coming / 2, 32)));
  const seconds = (performance.now() - started) / 1000;
  const micros = ([pids, [process.pid]] as const).map(
    (of, index) => ((ticksOf(of) - before[index]!) * 10_000) / coming,
  );
  console.log(
    `${(coming / seconds).toFixed(0)} connections a second, ${refused[0]! + refused[1]!} refused; processor time for each: ` +
      `${micros[0]!.toFixed(0)} µs of who accepts, ${micros[1]!.toFixed(0)} µs of who connects`,
  );
}

/** The prober's hot path, in a file. What else it asks for is not there. */
async function floodNginx(): Promise<void> {
  using directory = new TempDirectory({ mode: 0o755 });
  const file = directory.file(pathOf(1_024, "hot"));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, Buffer.alloc(1_024, "x"));
  const address = { host: "127.0.0.1", port: freePort() };
  const child = await nginx(directory, { name: "flooded", port: address.port, location: `root ${directory.path};` });
  try {
    await using prober = new Child<ProberReport>(join(CHAOS, "prober-process.ts"), {
      args: [String(address.port), String(address.port)],
    });
    await prober.heard();
    await Bun.sleep(1_000);
    await prober.ask("report");
    await flood([address, address], [child.pid, ...childrenOf(child.pid)]);
    const { http } = await prober.ask("report");
    console.log(`  the same against nginx ${figuresOf(http)}`);
  } finally {
    child.kill();
    await child.exited;
  }
}
