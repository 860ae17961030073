/**
 * Hours of chaos: see chaos.ts. Ends with 1 when anything was as it must not be.
 *
 *   bun run soak [--minutes 60] [--seed N] [--clients 24]
 */
import { parseArgs } from "node:util";
import { SoakProgress } from "../support/soak-progress.ts";
import { runChaos } from "./chaos.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
    clients: { type: "string", default: "24" },
  },
});
const seconds = Number(values.minutes) * 60;
let counts = () => "starting";
using progress = new SoakProgress({ label: "soak", seconds, counts: () => counts() });
const report = await runChaos({
  seconds,
  seed: Number(values.seed),
  clients: Number(values.clients),
  say: (line) => progress.say(line),
  began: (ofRun) => {
    counts = ofRun;
  },
});
progress.say(JSON.stringify(report, undefined, 2));
process.exit(report.complaints.length === 0 ? 0 : 1);
