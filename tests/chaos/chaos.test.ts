/**
 * Under faults of every kind nobody gets a wrong byte, nobody waits for ever, nothing is left behind and nothing grows; see chaos.ts. The seed is in the test's
 * name: `bun run soak --seed N` does the same again. Skipped parts: without the right to mount nothing is filled.
 */
import { expect, test } from "bun:test";
import { IS_WHOLE } from "../support/scale.ts";
import { runChaos } from "./chaos.ts";

const SEED = Math.floor(Math.random() * 2 ** 32);
const SECONDS = IS_WHOLE ? 180 : 60;

test(
  `chaos for ${SECONDS} s (seed ${SEED})`,
  async () => {
    const lines: string[] = [];
    const report = await runChaos({ seconds: SECONDS, seed: SEED, clients: 12, say: (line) => lines.push(line) }).catch(
      (error: unknown) => {
        throw new Error(`${error}\n${lines.join("\n")}`);
      },
    );
    if (report.complaints.length > 0) console.error(lines.join("\n"));
    expect(report.complaints).toEqual([]);
    expect({ wrong: report.tally.wrong, hangs: report.tally.hang }).toEqual({ wrong: 0, hangs: 0 });
    expect(report.tally.whole).toBeGreaterThan(200);
    // Kinds of faults that had their effect: of what was tried and had none there is a complaint.
    expect(Object.keys(report.faults).length).toBeGreaterThan(3);
  },
  (SECONDS + 300) * 1000,
);
