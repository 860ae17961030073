/**
 * What does a shared tier cost the hits that do not need it? Two nodes that hold the same objects, one with a shared tier and one without, are asked in turns; hits in the proxy's hot tier,
 * and hits that cross to the cache (`--hot 0`). Needs wrk.
 *
 *   bun run bench/shared-cost.ts [--rounds 8] [--seconds 2]
 */
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { RedisServer } from "../tests/support/redis.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const option = (name: string, fallback: number) => Number(process.argv[process.argv.indexOf(name) + 1]) || fallback;
const ROUNDS = option("--rounds", 8);
const SECONDS = option("--seconds", 2);

async function load({ host, port }: { host: string; port: number }): Promise<number> {
  const wrk = Bun.spawn(["wrk", "-t1", "-c32", `-d${SECONDS}s`, `http://${host}:${port}/object`], { stdout: "pipe" });
  const text = await new Response(wrk.stdout).text();
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
  return Number(/Requests\/sec:\s*([\d.]+)/.exec(text)?.[1]);
}

if (Bun.which("wrk") === null) {
  console.error("Cannot measure: there is no wrk; Debian's package wrk has it");
  process.exit(1);
}
console.log(machine());
await using redis = await RedisServer.start();
await using origin = CountingOrigin.start();
origin.set("/object", { body: someBytes(1024, 1), headers: { "Cache-Control": "max-age=3600" } });
for (const hot of ["64MiB", "0"]) {
  const args = ["--threads", "1", "--hot", hot];
  await using plain = await Webproxy.start({ origin: origin.url, args });
  await using shared = await Webproxy.start({ origin: origin.url, args: [...args, "--shared", redis.url] });
  await load(plain.http);
  await load(shared.http);
  const ratios: number[] = [];
  const rates: [number, number][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? [plain, shared] : [shared, plain];
    const [first, second] = [await load(order[0]!.http), await load(order[1]!.http)];
    const [without, withShared] = round % 2 === 0 ? [first, second] : [second, first];
    rates.push([without, withShared]);
    ratios.push(withShared / without);
  }
  const [without, withShared] = [median(rates.map(([rate]) => rate)), median(rates.map(([, rate]) => rate))];
  const spread = `${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`;
  console.log(
    `--hot ${hot}: ${Math.round(without)}/s without, ${Math.round(withShared)}/s with a shared tier; ratio ${median(ratios).toFixed(3)} (${spread})`,
  );
}
