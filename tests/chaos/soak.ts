/**
 * Hours of chaos: see chaos.ts. Ends with 1 when anything was as it must not be.
 *
 *   bun run soak [--minutes 60] [--seed N] [--clients 24]
 */
import { parseArgs } from "node:util";
import { runChaos } from "./chaos.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
    clients: { type: "string", default: "24" },
  },
});
const report = await runChaos({
  seconds: Number(values.minutes) * 60,
  seed: Number(values.seed),
  clients: Number(values.clients),
  say: (line) => console.log(line),
});
console.log(JSON.stringify(report, undefined, 2));
process.exit(report.complaints.length === 0 ? 0 : 1);
