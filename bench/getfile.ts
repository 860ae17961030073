/**
 * How close does a GETFILE hit come to a bare C server? gfload (C, 8 threads) against webproxy and against gfceil (a threaded C server that
 * sends one file from memory), in turn, on the same cores that the clients run on. Baseline: the ceiling of the same round.
 *
 *   bun run bench/getfile.ts [--rounds 5] [--seconds 3] [--warm-up 5] [--sizes 1024,65536,1048576,67108864] [--threads 2] [--clients 8] [--shared DIR] [-- WEBPROXY OPTIONS]
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { someBytes } from "../tests/support/bytes.ts";
import { buildC, cProgramsMissing, type LoadResult, runGfload, SHARED_BENCH } from "../tests/support/c-client.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { freePort } from "../tests/support/free-port.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    "warm-up": { type: "string", default: "5" },
    sizes: { type: "string", default: "1024,65536,1048576,67108864" },
    threads: { type: "string", default: "2" },
    clients: { type: "string", default: "8" },
    shared: { type: "string", default: SHARED_BENCH },
  },
});
/** Shares of the ceiling that the project promises. */
const PROMISED: Readonly<Record<number, number>> = { 1024: 0.9, 65536: 0.9, 1048576: 0.8, 67108864: 0.7 };

const rounds = Number(given.rounds);
const seconds = Number(given.seconds);
const clients = Number(given.clients);
const sizes = given.sizes.split(",").map(Number);

const missing = cProgramsMissing(given.shared);
if (missing !== undefined) {
  console.error(`Cannot measure: ${missing}; name the folder that has gfload.c and gfceil.c with --shared`);
  process.exit(1);
}
process.exit(await measure());

async function measure(): Promise<number> {
  console.log(
    `${machine()}; ${clients} client threads, webproxy --threads ${given.threads}, ${rounds} rounds of ${seconds} s, medians`,
  );
  using directory = new TempDirectory();
  const gfload = buildC("gfload", directory, given.shared);
  const gfceil = buildC("gfceil", directory, given.shared);
  await using origin = CountingOrigin.start();
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args: ["--threads", given.threads, "--quiet", ...positionals],
  });
  const ceilings: Bun.Subprocess[] = [];
  try {
    let errors = 0;
    const targets = sizes.map((size) => {
      const file = directory.file(`file-${size}`);
      const body = someBytes(size, size);
      writeFileSync(file, body);
      origin.set(`/${size}`, { body, headers: { "Cache-Control": "max-age=360000" } });
      const port = freePort();
      ceilings.push(Bun.spawn([gfceil, String(port), file]));
      const ceiling = { host: "127.0.0.1", port };
      return { size, file, ceiling, results: { ceiling: [] as LoadResult[], webproxy: [] as LoadResult[] } };
    });
    await Bun.sleep(300);
    for (const { size, file, ceiling } of targets) {
      // Once with every byte compared: the numbers below are of right bytes, and of hits.
      for (const address of [ceiling, webproxy.getfile]) {
        const checked = await runGfload(gfload, {
          address,
          path: `/${size}`,
          threads: clients,
          seconds: 1,
          expected: file,
        });
        errors += problems(checked);
      }
    }
    for (const { size } of targets) {
      const seconds = Number(given["warm-up"]); // until its code is compiled
      await runGfload(gfload, { address: webproxy.getfile, path: `/${size}`, threads: clients, seconds });
    }
    for (let round = 0; round < rounds; round++) {
      for (const { size, ceiling, results } of targets) {
        const load = { path: `/${size}`, threads: clients, seconds };
        results.ceiling.push(await runGfload(gfload, { ...load, address: ceiling }));
        results.webproxy.push(await runGfload(gfload, { ...load, address: webproxy.getfile }));
      }
    }
    for (const { size, results } of targets) {
      for (const result of [...results.ceiling, ...results.webproxy]) errors += problems(result);
      report(size, results);
    }
    console.log(
      `errors: ${errors}; lost wake-ups: ${(await webproxy.stats()).lostWakeups}; origin requests: ${origin.requests.length}`,
    );
    return errors === 0 ? 0 : 1;
  } finally {
    for (const ceiling of ceilings) ceiling.kill("SIGKILL");
  }
}

function problems({ outcomes }: LoadResult): number {
  return outcomes.err + outcomes.wrong + outcomes.timeout + outcomes.notfound;
}

function report(size: number, results: { ceiling: LoadResult[]; webproxy: LoadResult[] }): void {
  for (const [name, all] of Object.entries(results)) {
    const of = (pick: (result: LoadResult) => number) => median(all.map(pick));
    console.log(
      `${String(size).padStart(9)} B  ${name.padEnd(9)}${of((r) => r.requestsPerSecond)
        .toFixed(0)
        .padStart(8)} req/s ${of((r) => r.megabytesPerSecond)
        .toFixed(1)
        .padStart(8)} MB/s  p50 ${of((r) => r.p50Us)
        .toFixed(0)
        .padStart(7)} µs  p99 ${of((r) => r.p99Us)
        .toFixed(0)
        .padStart(7)} µs`,
    );
  }
  // Neighbours in time are compared with each other, then the median is taken: what else the machine did then did it to both.
  const ratios = results.webproxy.map(
    ({ megabytesPerSecond }, round) => megabytesPerSecond / results.ceiling[round]!.megabytesPerSecond,
  );
  const promised = PROMISED[size];
  const wanted = promised === undefined ? "" : `, promised ${promised}`;
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  console.log(`${String(size).padStart(9)} B  ratio ${median(ratios).toFixed(2)} of the ceiling (${range}${wanted})`);
}
