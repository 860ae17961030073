/**
 * Which part of the requests, and of their bytes, is answered from a store of 1, 5 and 10 % of all that is asked for? Ours beside LRU, SIEVE, ARC and
 * Belady, who knows the future; beside ours also S3-FIFO written once more from its paper, which has to come to the same figures.
 *
 *   bun run bench/eviction.ts [--objects 100000] [--seed 1] [--unit] [--trace NAME]
 *
 * --unit: all objects have the same size, as in the paper. --trace: only those whose name begins so.
 */
import { parseArgs } from "node:util";
import { arc, belady, lru, ours, type PolicyMaker, sieve, sketch } from "./eviction/policies.ts";
import { footprintOf, type Trace, traces } from "./eviction/traces.ts";
import { machine } from "./support/machine.ts";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    unit: { type: "boolean", default: false },
    trace: { type: "string", default: "" },
  },
});
const POLICIES: readonly [string, PolicyMaker][] = [
  ["ours", ours],
  ["S3-FIFO sketch", sketch],
  ["LRU", lru],
  ["SIEVE", sieve],
  ["ARC", arc],
  ["Belady", belady],
];
const SHARES = [0.01, 0.05, 0.1];
/** Ours and the sketch may differ by so much: the ghost table forgets a few early. */
const TOLERANCE = 0.005;

function replay(trace: Trace, make: PolicyMaker, limit: number): { hits: number; bytes: number } {
  const policy = make(limit, trace);
  let hits = 0;
  let hitBytes = 0;
  let allBytes = 0;
  trace.requests.forEach((number, index) => {
    const bytes = trace.sizes[number]!;
    allBytes += bytes;
    if (!policy.use(number, bytes, index)) return;
    hits++;
    hitBytes += bytes;
  });
  return { hits: hits / trace.requests.length, bytes: hitBytes / allBytes };
}

const percent = (ratio: number) => (ratio * 100).toFixed(1);
console.log(`${machine()}; seed ${values.seed}, ${values.unit ? "equal sizes" : "log-normal sizes, median 4 KiB"}`);
console.log("hit ratio in % of requests / of bytes\n");
console.log(`| trace | store | ${POLICIES.map(([name]) => name).join(" | ")} |`);
console.log(`|---|---|${POLICIES.map(() => "---|").join("")}`);
let farthest = 0;
for (const trace of traces(Number(values.objects), Number(values.seed))) {
  if (!trace.name.startsWith(values.trace)) continue;
  if (values.unit) trace.sizes.fill(1);
  const footprint = footprintOf(trace);
  for (const share of SHARES) {
    const results = POLICIES.map(([, make]) => replay(trace, make, footprint * share));
    farthest = Math.max(farthest, Math.abs(results[0]!.hits - results[1]!.hits));
    const cells = results.map(({ hits, bytes }) => `${percent(hits)} / ${percent(bytes)}`);
    console.log(`| ${trace.name} | ${share * 100} % | ${cells.join(" | ")} |`);
  }
}
console.log(`\nours and the sketch differ by at most ${(farthest * 100).toFixed(2)} points`);
if (farthest > TOLERANCE) process.exit(1);
