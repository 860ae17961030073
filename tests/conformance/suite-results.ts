/** A test as the suite describes it. */
export interface SuiteTest {
  id: string;
  name: string;
  kind: "required" | "optimal" | "check";
  dependsOn: readonly string[];
}

/** What came of one test. */
export type SuiteOutcome =
  | { passed: true }
  /** `why`: the suite's words, or the test it depends on that did not pass. */
  | { passed: false; why: string };

/** What the suite's client reports: true, or the kind of failure and its words. */
export type RawResults = Readonly<Record<string, true | readonly [string, string]>>;

interface RawTest {
  id: string;
  name: string;
  kind?: SuiteTest["kind"];
  depends_on?: readonly string[];
  browser_only?: boolean;
}

/** The tests that apply to a reverse proxy: all but those for browsers. */
export async function suiteTests(): Promise<SuiteTest[]> {
  const load = async (path: string) =>
    ((await import(`http-cache-tests/tests/${path}`)) as { default: unknown }).default;
  const suites = [...((await load("index.mjs")) as unknown[]), await load("surrogate-control.mjs")];
  const tests = (suites as { tests: RawTest[] }[]).flatMap((suite) => suite.tests);
  return tests
    .filter((test) => test.browser_only !== true)
    .map(({ id, name, kind = "required", depends_on: dependsOn = [] }) => ({ id, name, kind, dependsOn }));
}

/** A test passes only when those it depends on passed, for which it would prove nothing. */
export function outcomesOf(tests: readonly SuiteTest[], results: RawResults): Map<string, SuiteOutcome> {
  const byId = new Map(tests.map((test) => [test.id, test]));
  const outcomes = new Map<string, SuiteOutcome>();
  const outcomeOf = (id: string): SuiteOutcome => {
    const known = outcomes.get(id);
    if (known !== undefined) return known;
    const result = results[id];
    const failedBelow = byId.get(id)?.dependsOn.find((other) => !outcomeOf(other).passed);
    const outcome: SuiteOutcome =
      result === undefined
        ? { passed: false, why: "it has no result" }
        : result !== true
          ? { passed: false, why: `${result[0]}: ${result[1]}` }
          : failedBelow !== undefined
            ? { passed: false, why: `depends on ${failedBelow}` }
            : { passed: true };
    outcomes.set(id, outcome);
    return outcome;
  };
  for (const { id } of tests) outcomeOf(id);
  return outcomes;
}

interface Count {
  passed: number;
  all: number;
}

export function countsOf(
  tests: readonly SuiteTest[],
  outcomes: ReadonlyMap<string, SuiteOutcome>,
): { required: Count; optimal: Count } {
  const count = (wanted: SuiteTest["kind"]) => {
    const some = tests.filter(({ kind }) => kind === wanted);
    return { passed: some.filter(({ id }) => outcomes.get(id)?.passed === true).length, all: some.length };
  };
  return { required: count("required"), optimal: count("optimal") };
}
