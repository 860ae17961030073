/** The gate: the npm suite http-cache-tests against the real command; see docs/conformance.md. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CONTRADICTIONS } from "./contradictions.ts";
import { REPORT, resultLine } from "./report.ts";
import { runSuiteToTheEnd } from "./run-suite.ts";
import { outcomesOf, suiteTests } from "./suite-results.ts";

test("every required and every optimal test passes, but those that contradict the RFC", async () => {
  const tests = await suiteTests();
  expect(tests.length).toBe(350);
  const results = await runSuiteToTheEnd(tests, new Set(Object.keys(CONTRADICTIONS)));
  const outcomes = outcomesOf(tests, results);
  const failed = tests.filter(({ id, kind }) => kind !== "check" && outcomes.get(id)?.passed !== true);
  const words = failed.map(({ id }) => `${id}: ${JSON.stringify(outcomes.get(id))}`);
  process.stdout.write(`${resultLine(tests, results)}\n`);
  expect(words.filter((word) => !(word.slice(0, word.indexOf(": ")) in CONTRADICTIONS))).toEqual([]);
  expect(failed.map(({ id }) => id).sort()).toEqual(Object.keys(CONTRADICTIONS).sort());
  expect(readFileSync(REPORT, "utf8")).toContain(resultLine(tests, results));
}, 400_000);
