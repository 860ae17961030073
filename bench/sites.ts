/**
 * What do sites and rules cost a request? For each configuration: how long it takes to find the site, what has been decided about the path, what is forwarded and what
 * is in the key. (A head that was answered from the hot tier before is recognised by its octets, and asks for none of this.)
 *
 *   bun bench/sites.ts
 */
import { type RuleSettings, Site, type SiteSettings, SiteTable, siteId } from "@proj/protocol";

const ROUNDS = 400_000;
const RUNS = 7;

function site(given: Partial<SiteSettings>): Site {
  const settings = {
    name: "",
    hosts: [],
    path: "",
    stripPath: false,
    origins: ["http://origin/"],
    rules: [],
    ...given,
  };
  return new Site({ id: siteId(settings), ...settings });
}

/** What the proxy does for a request; the sum keeps it from being left out. */
function decide(table: SiteTable<Site>, host: string, path: string): number {
  const found = table.only ?? table.find(host, path);
  if (found === undefined) return 0;
  const joined = found.join(path);
  if (!found.hasRules) return joined.length;
  const ruling = found.rulingOn(joined);
  const target = found.forwarded(joined, ruling);
  return (ruling.rule?.keyTarget(target) ?? target).length;
}

const others: RuleSettings[] = Array.from({ length: 20 }, (_, index) => ({
  paths: [`/api/${index}/*`, `*.x${index}`],
  ttlSeconds: 1,
}));
const query: RuleSettings = { paths: ["*"], query: { kind: "ignore", names: ["utm_*", "gclid"], forward: "counted" } };
const hosts = Array.from({ length: 100 }, (_, index) =>
  site({ name: `s${index}`, hosts: [`s${index}.example`, `*.s${index}.example`] }),
);

const CASES: readonly [string, SiteTable<Site>, string][] = [
  ["one site, no rules", new SiteTable([site({})]), "/images/logo.png?v=3"],
  [
    "one site, one rule that fits",
    new SiteTable([site({ rules: [{ paths: ["/images/*"], ttlSeconds: 1 }] })]),
    "/images/logo.png?v=3",
  ],
  ["one site, 20 rules, none fits", new SiteTable([site({ rules: others })]), "/images/logo.png?v=3"],
  ["one site, query counted in part", new SiteTable([site({ rules: [query] })]), "/images/logo.png?v=3&utm_source=a"],
  ["100 sites by host", new SiteTable(hosts), "/images/logo.png?v=3"],
  ["100 sites by host, and one for all", new SiteTable([...hosts, site({})]), "/images/logo.png?v=3"],
];

for (const [what, table, path] of CASES) {
  const nanoseconds: number[] = [];
  let sum = 0;
  for (let run = 0; run < RUNS; run++) {
    // Processor time and not the clock's: whoever else runs takes the latter.
    const started = process.cpuUsage();
    for (let round = 0; round < ROUNDS; round++)
      sum += decide(table, round % 2 === 0 ? "s50.example:8080" : "www.s7.example", path);
    const { user, system } = process.cpuUsage(started);
    nanoseconds.push(((user + system) * 1000) / ROUNDS);
  }
  nanoseconds.sort((a, b) => a - b);
  console.log(
    `${what.padEnd(36)} ${nanoseconds[Math.floor(RUNS / 2)]!.toFixed(0).padStart(5)} ns a request  (${sum % 7})`,
  );
}
