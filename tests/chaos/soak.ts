/**
 * Hours of chaos: see chaos.ts. Ends with 1 when anything was as it must not be, or when nobody was served for a second: on a machine that others keep busy that is theirs.
 *
 *   bun run soak [--minutes 60] [--seed N] [--clients 24] [--only "fill /dev/shm"] [--packed] [--log FILE]
 *
 * --packed: the command as an operator has it, in place of the sources. --only: faults whose name this regular expression is found in, and no others. --log: what webproxy wrote to standard error goes there.
 */
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { parseArgs } from "node:util";
import { packedCommand } from "../support/packed.ts";
import { SoakProgress } from "../support/soak-progress.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { runChaos } from "./chaos.ts";

/** Longest that nobody is served. */
const GAP_MS_MAX = 1_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
    clients: { type: "string", default: "24" },
    log: { type: "string" },
    only: { type: "string", default: "" },
    packed: { type: "boolean", default: false },
  },
});
const seconds = Number(values.minutes) * 60;
/** The clients are in this process. They ask again as soon as they have an answer, and take what processors are left: not those that a restart needs, which on another machine they could not take either. */
const CLIENTS_NICE = 10;

using directory = new TempDirectory({ mode: 0o777 });
let counts = () => "starting";
using progress = new SoakProgress({ label: "soak", seconds, counts: () => counts() });
const report = await runChaos({
  seconds,
  seed: Number(values.seed),
  clients: Number(values.clients),
  only: new RegExp(values.only),
  command: values.packed ? packedCommand(directory) : undefined,
  say: (line) => progress.say(line),
  logged: (log) => values.log !== undefined && writeFileSync(values.log, log),
  began: (ofRun) => {
    setPriority(CLIENTS_NICE); // what is started is started by now
    counts = ofRun;
  },
});
progress.say(JSON.stringify(report, undefined, 2));
const longGaps = Object.entries(report.longestGapMs).filter(([, { ms }]) => ms > GAP_MS_MAX);
for (const [name, { ms, during }] of longGaps)
  progress.say(`nobody was served ${name} for ${ms.toFixed(0)} ms: ${during}`);
process.exitCode = report.complaints.length + longGaps.length === 0 ? 0 : 1; // the directory goes first
