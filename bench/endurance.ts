/**
 * Does one process pair last? A time of mixed load in which no request may fail, then many requests in a row, with memory, mappings and
 * descriptors of both processes watched: they have to stay where they were. (The C original died after 32,744 requests.)
 *
 *   bun run bench/endurance.ts [--seconds 60] [--requests 1000000] [--threads 2] [--clients 8] [--shared DIR] [-- WEBPROXY OPTIONS]
 *
 * With `-- --hot 0 --memory 0` every byte goes the long way, portion by portion through the segments.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { someBytes } from "../tests/support/bytes.ts";
import { buildC, cProgramsMissing, type LoadResult, runGfload, SHARED_BENCH } from "../tests/support/c-client.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { type ProcessUsage, processUsage } from "../tests/support/process-usage.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    requests: { type: "string", default: "1000000" },
    threads: { type: "string", default: "2" },
    clients: { type: "string", default: "8" },
    shared: { type: "string", default: SHARED_BENCH },
  },
});
const SIZES = [1024, 65_536, 1_048_576, 67_108_864];
const SAMPLES = 10;
/** What a heap may still grow by after the first tenth; a leak of a hundred bytes a request is 100 MB. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const GROWTH_COUNT_MAX = 100;

const missing = cProgramsMissing(given.shared);
if (missing !== undefined) {
  console.error(`Cannot measure: ${missing}; name the folder that has gfload.c with --shared`);
  process.exit(1);
}
process.exit(await measure());

type Usage = Record<"proxy" | "cache", ProcessUsage>;

async function measure(): Promise<number> {
  console.log(machine());
  using directory = new TempDirectory();
  const gfload = buildC("gfload", directory, given.shared);
  await using origin = CountingOrigin.start();
  for (const size of SIZES) {
    const body = someBytes(size, size);
    writeFileSync(directory.file(String(size)), body);
    origin.set(`/${size}`, { body, headers: { "Cache-Control": "max-age=360000" } });
  }
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args: ["--threads", given.threads, "--quiet", ...positionals],
  });
  const address = webproxy.getfile;
  const clients = Number(given.clients);

  const mixed = await Promise.all(
    SIZES.map((size) =>
      runGfload(gfload, {
        address,
        path: `/${size}`,
        threads: clients / SIZES.length,
        seconds: Number(given.seconds),
        expected: directory.file(String(size)),
      }),
    ),
  );
  const mixedOk = total(mixed, ({ outcomes }) => outcomes.ok);
  const mixedErrors = total(mixed, problems);
  console.log(
    `${given.seconds} s of files of 1 KiB to 64 MiB at once: ${mixedOk} requests, every byte compared, ${mixedErrors} errors`,
  );

  const requests = Number(given.requests);
  const usages: Usage[] = [];
  let errors = 0;
  for (let sample = 1; sample <= SAMPLES; sample++) {
    const requestsMax = Math.ceil(requests / SAMPLES / clients);
    const load = {
      address,
      path: "/1024",
      threads: clients,
      seconds: 3600,
      requestsMax,
      expected: directory.file("1024"),
    };
    errors += problems(await runGfload(gfload, load));
    const { proxy, cache } = await webproxy.stats();
    const usage = { proxy: processUsage(proxy!.pid), cache: processUsage(cache!.pid) };
    usages.push(usage);
    console.log(
      `after ${String(sample * requestsMax * clients).padStart(8)} requests: ${text("proxy", usage)}; ${text("cache", usage)}; ${errors} errors`,
    );
  }
  const stats = await webproxy.stats();
  console.log(
    `restarts ${JSON.stringify(stats.restarts)}, lost wake-ups ${stats.lostWakeups}, segments in use ${stats.segmentsInUse}`,
  );
  const grown = (["proxy", "cache"] as const).some((side) => hasGrown(usages[0]![side], usages.at(-1)![side]));
  if (grown) console.log("it has grown");
  const isSteady = !grown && stats.restarts.proxy + stats.restarts.cache + stats.lostWakeups === 0;
  return isSteady && errors + mixedErrors === 0 ? 0 : 1;
}

function hasGrown(first: ProcessUsage, last: ProcessUsage): boolean {
  return (
    last.residentBytes - first.residentBytes > GROWTH_BYTES_MAX ||
    last.mappings - first.mappings > GROWTH_COUNT_MAX ||
    last.descriptors - first.descriptors > GROWTH_COUNT_MAX
  );
}

function text(side: "proxy" | "cache", usage: Usage): string {
  const { residentBytes, mappings, descriptors } = usage[side];
  return `${side} ${(residentBytes / 2 ** 20).toFixed(0)} MiB, ${mappings} mappings, ${descriptors} descriptors`;
}

function problems({ outcomes }: LoadResult): number {
  return outcomes.err + outcomes.wrong + outcomes.timeout + outcomes.notfound;
}

function total(results: readonly LoadResult[], pick: (result: LoadResult) => number): number {
  return results.reduce((sum, result) => sum + pick(result), 0);
}
