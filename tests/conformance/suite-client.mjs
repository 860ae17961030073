/**
 * The client of the npm suite, run by Node as it runs at home: `node suite-client.mjs PROXY_URL ORIGIN_URL [TEST_ID...]` prints its results as JSON.
 * What the suite says to its own server beside the tests (what to answer next, what was seen) goes there directly.
 */
import { getResults, runTests } from "http-cache-tests/client/runner.mjs";
import suites from "http-cache-tests/tests/index.mjs";
import surrogateControl from "http-cache-tests/tests/surrogate-control.mjs";
import fetch from "node-fetch";

const [proxyUrl, originUrl, ...ids] = process.argv.slice(2);

function fetchOrAsk(url, init) {
  const { pathname, search } = new URL(url);
  const isTest = pathname.startsWith("/test/");
  return fetch(`${isTest ? proxyUrl : originUrl}${pathname}${search}`, init);
}

const isChosen = ({ id }) => ids.length === 0 || ids.includes(id);
const chosen = [...suites, surrogateControl].map((suite) => ({ ...suite, tests: suite.tests.filter(isChosen) }));
await runTests(chosen, fetchOrAsk, false, proxyUrl);
process.stdout.write(JSON.stringify(getResults()));
process.exit(0);
