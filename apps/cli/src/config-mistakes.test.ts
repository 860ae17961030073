/** A config with each kind of mistake gives a message with the path of the mistake, and what to write instead. */
import { expect, test } from "bun:test";
import { type Options, parseOptions, type RawOptions } from "./options.ts";

function use(values: object): Options {
  return parseOptions({ flags: {}, file: { path: "w.json", values: values as RawOptions } });
}

function mistakesIn(values: object): string[] {
  try {
    use(values);
  } catch (error) {
    return (error as Error).message.split("\n");
  }
  return [];
}

const site = (more: object) => ({
  sites: [
    { name: "a", origin: "http://a" },
    { name: "b", origin: "http://b", ...more },
  ],
});
const rule = (more: object) =>
  site({
    path: "/b",
    rules: [
      { path: "/ok", ttl: 1 },
      { path: "/x", ...more },
    ],
  });

const MISTAKES: readonly [what: string, values: object, path: string, words: RegExp][] = [
  ["an unknown option", { orgin: "x" }, "orgin", /did you mean origin\?/],
  ["an option in another spelling", { "segment-size": 4096 }, "segment-size", /did you mean segmentSize\?/],
  ["an unknown option near none", { zzzzzz: 1 }, "zzzzzz", /there are origin, threads/],
  ["a wrong type", { threads: [] }, "threads", /whole number of threads/],
  ["a number out of range", { threads: 65 }, "threads", /from 1 to 64/],
  ["a size without a unit that exists", { memory: "1GB" }, "memory", /MiB or GiB/],
  ["a choice that is none", { getfileWire: "lf" }, "getfileWire", /crlf or pr3/],
  ["an origin that is no URL", { origin: "http://" }, "origin", /give one such as/],
  ["origins that differ in path", { origin: ["http://a/x", "http://b/y"] }, "origin", /paths have to be the same/],
  ["sites that are no list", { sites: {} }, "sites", /must be a list of sites/],
  ["a site that is no object", { sites: ["a"] }, "sites[0]", /must be an object with name and origin/],
  ["a site without a name", { sites: [{ origin: "http://a" }] }, "sites[0].name", /has to be given/],
  ["a site without an origin", { sites: [{ name: "a" }] }, "sites[0].origin", /has to be given/],
  ["an unknown field of a site", site({ host: "b.example" }), "sites[1].host", /did you mean hosts\?/],
  ["a bad name", { sites: [{ name: "a|b", origin: "http://a" }] }, "sites[0].name", /letters, digits, - and _/],
  ["a name twice", site({ name: "A", path: "/b" }), "sites[1].name", /sites\[0\] has this name too/],
  ["a place twice", site({}), "sites[1].path", /sites\[0\] is for the same host and path/],
  ["a host that is a URL", site({ hosts: ["http://b"] }), "sites[1].hosts[0]", /a name such as example\.org/],
  ["a host with an empty label", site({ hosts: ["b..c"] }), "sites[1].hosts[0]", /a name such as example\.org/],
  ["a star inside a host", site({ hosts: "a.*.b" }), "sites[1].hosts", /\*\.example\.org/],
  ["no host in a list", site({ hosts: [] }), "sites[1].hosts", /leave it out for every host/],
  ["a path without a slash", site({ path: "b" }), "sites[1].path", /begins with \//],
  ["a path with a dot segment", site({ path: "/a/../b" }), "sites[1].path", /no \. or \.\. segment/],
  ["a path with a query", site({ path: "/b?c" }), "sites[1].path", /no query/],
  ["a flag that is a text", site({ path: "/b", stripPath: "yes" }), "sites[1].stripPath", /true or false/],
  ["a bad origin of a site", site({ path: "/b", origin: ["http://b", "x"] }), "sites[1].origin", /beside others/],
  ["rules that are no list", site({ path: "/b", rules: {} }), "sites[1].rules", /must be a list of rules/],
  ["a rule without a path", site({ path: "/b", rules: [{ ttl: 1 }] }), "sites[1].rules[0].path", /has to be given/],
  ["a pattern with a query", rule({ path: "/x?y", ttl: 1 }), "sites[1].rules[1].path", /without query/],
  ["a pattern in a list", rule({ path: ["/x", "y"], ttl: 1 }), "sites[1].rules[1].path[1]", /begins with \/ or \*/],
  ["a rule that decides nothing", rule({}), "sites[1].rules[1]", /decides nothing/],
  ["an unknown field of a rule", rule({ tlt: 1 }), "sites[1].rules[1].tlt", /did you mean ttl\?/],
  ["a duration that is none", rule({ ttl: "1 hour" }), "sites[1].rules[1].ttl", /90s, 10m or 7d/],
  ["a negative duration", rule({ staleIfError: -1 }), "sites[1].rules[1].staleIfError", /whole number of seconds/],
  ["a ttl beside bypass", rule({ bypass: true, ttl: 1 }), "sites[1].rules[1].ttl", /no effect beside bypass/],
  [
    "an unknown field of a key",
    rule({ key: { header: [] } }),
    "sites[1].rules[1].key.header",
    /did you mean headers\?/,
  ],
  [
    "a query that is a list",
    rule({ key: { query: ["id"], forward: "all" } }),
    "sites[1].rules[1].key.query",
    /only: \["id"\]/,
  ],
  [
    "a query both ways",
    rule({ key: { query: { only: [], ignore: [] }, forward: "all" } }),
    "sites[1].rules[1].key.query",
    /all but some/,
  ],
  [
    "a query without forward",
    rule({ key: { query: { only: ["id"] } } }),
    "sites[1].rules[1].key.forward",
    /^Cannot do without .*say what the origin gets/,
  ],
  ["forward without a query", rule({ key: { forward: "all" } }), "sites[1].rules[1].key.forward", /no query/],
  [
    "forward to nobody",
    rule({ key: { query: { only: [] }, forward: "some" } }),
    "sites[1].rules[1].key.forward",
    /"counted"/,
  ],
  [
    "a header that the cache never sees",
    rule({ key: { headers: ["Host"] } }),
    "sites[1].rules[1].key.headers[0]",
    /can not be in the key/,
  ],
  [
    "the client's address",
    rule({ key: { headers: ["X-Forwarded-Proto", "X-Forwarded-For"] } }),
    "sites[1].rules[1].key.headers[1]",
    /can not be in the key/,
  ],
  [
    "no name of a header",
    rule({ key: { headers: ["X Y"] } }),
    "sites[1].rules[1].key.headers[0]",
    /name of a request header/,
  ],
  ["a mistake in the rules of origin", { rules: [{ path: "/x", ttl: "x" }] }, "rules[0].ttl", /90s/],
];

for (const [what, values, path, words] of MISTAKES) {
  test(`${what}: "${path}"`, () => {
    const mistakes = mistakesIn(values);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(`"${path}" in w.json`);
    expect(mistakes[0]).toMatch(words);
  });
}

test("all mistakes are told at once", () => {
  const mistakes = mistakesIn({
    threads: 0,
    sites: [{ name: "", origin: "http://a", rules: [{ path: "x", ttl: -1 }] }],
  });
  expect(mistakes.map((line) => /"([^"]*)" in w\.json/.exec(line)?.[1])).toEqual([
    "threads",
    "sites[0].name",
    "sites[0].rules[0].path",
    "sites[0].rules[0].ttl",
  ]);
});

test("rules of an origin that is not given are refused", () => {
  expect(mistakesIn({ ...site({ path: "/b" }), rules: [{ path: "/x", ttl: 1 }] })[0]).toMatch(
    /"rules" without "origin"/,
  );
});

test("what is right is taken, and what is printed of it is taken again", () => {
  const options = use({
    origin: "./public",
    rules: [{ path: "*", ttl: "1d", staleIfError: 0 }],
    sites: [
      {
        name: "a",
        hosts: ["a.example", "*.a.example:8443"],
        path: "/x/",
        stripPath: true,
        origin: ["http://a", "http://b"],
      },
      {
        name: "b",
        hosts: "[::1]",
        origin: "demo",
        rules: [
          { path: ["/p/*", "*.css"], bypass: true },
          { path: "/q", key: { query: { ignore: ["utm_*"] }, forward: "all", headers: ["X-Plan"] } },
        ],
      },
    ],
  });
  expect(options.rules[0]).toMatchObject({ path: ["*"], ttl: 86_400, staleIfError: 0 });
  expect(options.sites[0]).toMatchObject({
    hosts: ["a.example", "*.a.example:8443"],
    origin: ["http://a", "http://b"],
  });
  expect(use(JSON.parse(JSON.stringify(options)))).toEqual(options);
  expect(use({ sites: [{ name: "a", origin: "http://a" }] }).origin).toBeUndefined();
  expect(use({}).origin).toEqual(["./public"]);
});
