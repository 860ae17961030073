import { join } from "node:path";
import { Webproxy } from "../support/webproxy.ts";
import { within } from "../support/within.ts";
import { outcomesOf, type RawResults, type SuiteTest } from "./suite-results.ts";
import { SuiteServer } from "./suite-server.ts";

/** Some forty pauses of three seconds, a hundred tests at a time. */
const RUN_MS = 180_000;

/**
 * Runs the suite, or those of its tests, against a real `webproxy` as users get it: supervised, several threads, hot tier on.
 */
export async function runSuite(ids: readonly string[] = []): Promise<RawResults> {
  await using server = await SuiteServer.start();
  await using webproxy = await Webproxy.start({ origin: server.url, args: ["--threads", "2"] });
  const { host, port } = webproxy.http;
  const client = Bun.spawn(
    ["node", join(import.meta.dir, "suite-client.mjs"), `http://${host}:${port}`, server.url, ...ids],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const output = await within(RUN_MS, "the end of the suite", new Response(client.stdout).text());
    return JSON.parse(output) as RawResults;
  } finally {
    client.kill("SIGKILL");
  }
}

/** Its tests sleep for three seconds and count in seconds: on a busy machine some miss their second, and get two more chances. */
const CHANCES = 3;

/** Results of all tests. Checks, and those that are known not to pass, are run once. */
export async function runSuiteToTheEnd(
  tests: readonly SuiteTest[],
  knownToFail: ReadonlySet<string>,
): Promise<RawResults> {
  let results = await runSuite();
  const counted = tests.filter(({ id, kind }) => kind !== "check" && !knownToFail.has(id));
  for (let chance = 1; chance < CHANCES; chance++) {
    const outcomes = outcomesOf(tests, results);
    const failed = counted.filter(({ id }) => outcomes.get(id)?.passed !== true);
    if (failed.length === 0) break;
    const again = failed.flatMap(({ id, dependsOn }) => [id, ...dependsOn.filter((other) => results[other] !== true)]);
    results = { ...results, ...(await runSuite([...new Set(again)])) };
  }
  return results;
}
