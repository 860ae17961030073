/** Runs the suite and writes docs/conformance.md: `bun tests/conformance/report.ts`. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTRADICTIONS } from "./contradictions.ts";
import { runSuiteToTheEnd } from "./run-suite.ts";
import { countsOf, outcomesOf, type RawResults, type SuiteTest, suiteTests } from "./suite-results.ts";
import { SUITE_DIRECTORY } from "./suite-server.ts";

export const REPORT = join(import.meta.dir, "../../docs/conformance.md");

const PEERS = {
  trafficserver: "Apache Traffic Server",
  apache: "Apache httpd",
  squid: "Squid",
  varnish: "Varnish",
  nginx: "nginx",
  fastly: "Fastly",
  nuster: "nuster",
};

/** Counts of the suite's newest revision, of 160 required and 105 optimal tests: peers' as its site has them, ours as measured (see the report's text). */
const NEWEST: Readonly<Record<string, readonly [number, number]>> = {
  webproxy: [160, 100],
  trafficserver: [133, 72],
  apache: [131, 68],
  squid: [122, 59],
  varnish: [119, 45],
  nginx: [100, 58],
  fastly: [96, 49],
};

/** The line of the report that says how webproxy did: the gate compares it. */
export function resultLine(tests: readonly SuiteTest[], results: RawResults): string {
  const { required, optimal } = countsOf(tests, outcomesOf(tests, results));
  return `| **webproxy** | **${required.passed} of ${required.all}** | **${optimal.passed} of ${optimal.all}** | **${newestOf("webproxy")}** |`;
}

function newestOf(key: string): string {
  const newest = NEWEST[key];
  return newest === undefined ? "" : `${newest[0]} of 160, ${newest[1]} of 105`;
}

function peerLines(tests: readonly SuiteTest[]): string[] {
  const directory = join(SUITE_DIRECTORY, "results");
  return readdirSync(directory).flatMap((file) => {
    const key = file.replace(".json", "");
    const name = PEERS[key as keyof typeof PEERS];
    if (name === undefined) return [];
    const results = JSON.parse(readFileSync(join(directory, file), "utf8")) as RawResults;
    const { required, optimal } = countsOf(tests, outcomesOf(tests, results));
    const counts = `${required.passed} of ${required.all} | ${optimal.passed} of ${optimal.all}`;
    return [`| ${name} | ${counts} | ${newestOf(key)} |`];
  });
}

function reportOf(tests: readonly SuiteTest[], results: RawResults): string {
  const outcomes = outcomesOf(tests, results);
  const kindOf = new Map(tests.map(({ id, kind }) => [id, kind]));
  const whys = [...new Set(Object.values(CONTRADICTIONS))];
  const argued = whys.map((why) => {
    const ids = Object.keys(CONTRADICTIONS).filter((id) => CONTRADICTIONS[id] === why);
    return `- ${ids.map((id) => `\`${id}\` (${kindOf.get(id)})`).join(", ")}\n\n  ${why}`;
  });
  const checks = tests.filter(({ kind }) => kind === "check");
  const isYes = ({ id }: SuiteTest) => outcomes.get(id)?.passed === true;
  const list = (some: readonly SuiteTest[]) => some.map(({ id }) => `\`${id}\``).join(", ");
  return `# How well it caches

Measured by the npm package \`http-cache-tests\` 0.4.5, the suite behind cache-tests.fyi, against the command users run: \`webproxy start --threads 2\` with
its hot tier on, the suite's own server as its origin. A test counts only when those it depends on passed. \`tests/conformance\` is the
gate: every required and every optimal test passes but those below, or the build fails. \`bun tests/conformance/report.ts\` writes this page.

| | required | optimal | newest revision of the suite |
|---|---|---|---|
${resultLine(tests, results)}
${peerLines(tests).join("\n")}

The peers' figures of version 0.4.5 are counted in the same way from the results that the package carries; those of the newest revision are its site's.

## The newest revision

The suite's repository, github.com/http-tests/cache-tests, is ahead of the package: of 365 tests that apply to a reverse proxy, 160 are required and 105 optimal. Tests of
CDN-Cache-Control, of interim responses and of stale-while-revalidate are new, those of Age agree with RFC 9111 now, the spellings of Expires count (required, or optimal), and what a 304
updates beyond the RFC only describes. On 27 November 2026 its tests were run in the same way against this \`webproxy\`, with 2 and with 3 threads, with its own server as the origin
and all that the suite says to that server through webproxy too: 160 of 160 required and 101 of 105 optimal passed; one of these, \`method-POST\`, no longer does. The five others are the last three points below. It is not on npm, so
that the gate stays with the package; \`packages/protocol\` and \`tests/caching\` hold what it asks for beyond that.

## What does not pass, and why

${argued.join("\n")}

## What only describes

${checks.filter(isYes).length} of ${checks.length} tests of the kind "check" ask what a cache does without saying what it should. Yes: ${list(checks.filter(isYes))}.

No: ${list(checks.filter((test) => !isYes(test)))}.
`;
}

if (import.meta.main) {
  const tests = await suiteTests();
  const results = await runSuiteToTheEnd(tests, new Set(Object.keys(CONTRADICTIONS)));
  const outcomes = outcomesOf(tests, results);
  for (const { id, kind } of tests) {
    const outcome = outcomes.get(id);
    if (kind !== "check" && outcome?.passed === false) process.stdout.write(`${kind} ${id}: ${outcome.why}\n`);
  }
  process.stdout.write(`${resultLine(tests, results)}\n${peerLines(tests).join("\n")}\n`);
  writeFileSync(REPORT, reportOf(tests, results));
  process.exit(0);
}
