import { describe, expect, test } from "bun:test";
import type { RuleSettings } from "./rule.ts";
import { Site } from "./site.ts";
import { type SiteSettings, siteId } from "./site-settings.ts";
import { SiteTable } from "./site-table.ts";

function site(given: Partial<SiteSettings> = {}): Site {
  const settings = {
    name: "",
    hosts: [],
    path: "",
    stripPath: false,
    origins: ["http://origin:9000/"],
    rules: [],
    ...given,
  };
  return new Site({ id: siteId(settings), ...settings });
}

describe("Site", () => {
  test("names what it stores by scheme, host and port of its origin, and by its own name", () => {
    expect(site().keyPrefix).toBe("http://origin:9000");
    expect(site({ origins: ["https://Origin/files/"] }).keyPrefix).toBe("https://origin");
    expect(site({ name: "blog" }).keyPrefix).toBe("blog|http://origin:9000");
  });

  test("joins what clients ask for to the origin's path, with or without its own", () => {
    expect(site().join("/a?b")).toBe("/a?b");
    expect(site({ origins: ["http://o/files/v1/"] }).join("/a")).toBe("/files/v1/a");
    const blog = site({ path: "/blog", origins: ["http://o/p"] });
    expect(blog.join("/blog/a?b")).toBe("/p/blog/a?b");
    const stripped = site({ path: "/blog", stripPath: true, origins: ["http://o/p"] });
    expect(stripped.join("/blog/a?b")).toBe("/p/a?b");
    expect(stripped.join("/%62lo%67/a")).toBe("/p/a");
    expect(stripped.join("/blog")).toBe("/p/");
    expect(stripped.join("/blog?b")).toBe("/p/?b");
  });

  test("can not be left where it is joined to anything", () => {
    expect(site().mayBeLeftBy("/a/../b")).toBe(false);
    for (const one of [site({ origins: ["http://o/p"] }), site({ path: "/blog" })]) {
      for (const dots of ["..", ".", "%2e%2e", ".%2E"])
        for (const end of ["", "/b", "%2fb", "\\b", "?b", ";/b", ";a=1/b", "%3b/b", "%3B", "%00/b", "%3fb", "%23"])
          expect({ dots, end, leaves: one.mayBeLeftBy(`/blog/${dots}${end}`) }).toEqual({ dots, end, leaves: true });
      for (const path of ["...", "a;b/c", "a..;/b", "..a;/b", "%252e%252e/b", ";../b"])
        expect({ path, leaves: one.mayBeLeftBy(`/blog/${path}`) }).toEqual({ path, leaves: false });
    }
  });

  const rules: RuleSettings[] = [
    { paths: ["/blog/private/*", "/blog/private"], bypass: true },
    { paths: ["*.css"], ttlSeconds: 60 },
    { paths: ["/blog/*"], query: { kind: "ignore", names: ["utm_*"], forward: "all" } },
    { paths: ["/blog/private/a.css"], ttlSeconds: 1 },
  ];
  for (const stripPath of [false, true]) {
    test(`the first rule whose pattern matches what clients ask for decides${stripPath ? ", also behind a stripped path" : ""}`, () => {
      const blog = site({ path: "/blog", stripPath, rules, origins: ["http://o/p"] });
      const ruling = (path: string) => blog.rulingOn(blog.join(path));
      expect(ruling("/blog/private/a.css")).toMatchObject({ bypass: true });
      expect(ruling("/blog/%70rivate/a.css")).toMatchObject({ bypass: true });
      expect(ruling("/blog/a.css?x").rule?.settings).toEqual(rules[1]!);
      expect(ruling("/blog/a").rule?.settings).toEqual(rules[2]!);
      // Behind a path that is taken off, both are the origin's "/".
      expect(ruling("/blog").rule?.settings).toEqual(stripPath ? rules[2] : undefined);
    });
  }

  test("where it has rules, a path that could be read as another one is passed on, and not kept", () => {
    const ruled = site({ rules });
    for (const path of [
      "/x/../blog/private/",
      "/blog/private;a.css",
      "//blog/private/a.css",
      "/blog%2fprivate/a.css",
    ]) {
      expect(ruled.rulingOn(path)).toEqual({ rule: undefined, bypass: true });
      expect(site().rulingOn(path)).toEqual({ rule: undefined, bypass: false });
    }
  });

  test("says what is forwarded of a query that does not count whole", () => {
    const of = (forward: "counted" | "all") =>
      site({ rules: [{ paths: ["*"], query: { kind: "only", names: ["id"], forward } }] });
    for (const [one, forwarded] of [
      [of("counted"), "/a?id=1"],
      [of("all"), "/a?id=1&x=2"],
    ] as const) {
      const ruling = one.rulingOn("/a?id=1&x=2");
      expect(one.forwarded("/a?id=1&x=2", ruling)).toBe(forwarded);
      expect(ruling.rule?.keyTarget(forwarded)).toBe("/a?id=1");
    }
  });
});

describe("SiteTable", () => {
  const blog = site({ name: "blog", hosts: ["Example.org"], path: "/blog" });
  const deep = site({ name: "deep", hosts: ["example.org"], path: "/blog/deep" });
  const below = site({ name: "below", hosts: ["*.example.org"] });
  const near = site({ name: "near", hosts: ["*.a.example.org"] });
  const port = site({ name: "port", hosts: ["example.org:8443"] });
  const files = site({ name: "files", path: "/files" });
  const others = site();
  const table = new SiteTable([others, files, port, near, below, blog, deep]);
  const found = (authority: string | undefined, path: string) => table.find(authority, path)?.settings.name;

  test("finds the site by host, then by the longest path", () => {
    expect(found("example.org", "/blog/a")).toBe("blog");
    expect(found("EXAMPLE.org.:80", "/blog?x")).toBe("blog");
    expect(found("example.org", "/blog/deep")).toBe("deep");
    expect(found("example.org", "/%62log/d%65ep/a")).toBe("deep");
    expect(found("example.org", "/blogs")).toBe("");
    expect(found("example.org:8443", "/blog/a")).toBe("port");
    expect(found("www.example.org", "/")).toBe("below");
    expect(found("x.a.example.org", "/")).toBe("near");
    expect(found("a.example.org:99", "/")).toBe("below");
    expect(found("notexample.org", "/")).toBe("");
    expect(found("[::1]:8080", "/files/a")).toBe("files");
    expect(found(undefined, "/files/a")).toBe("files");
    expect(found(undefined, "/blog/a")).toBe("");
    expect(found("", "/blog/a")).toBe("");
  });

  test("without a site for everything, some requests are nobody's", () => {
    const few = new SiteTable([blog, files]);
    expect(few.find("other.example", "/a")).toBeUndefined();
    expect(few.find("example.org", "/files/a")?.settings.name).toBe("files");
    expect(few.only).toBeUndefined();
  });

  test("one site for everything is not looked for", () => {
    expect(new SiteTable([others]).only).toBe(others);
    expect(new SiteTable([files]).only).toBeUndefined();
    expect(new SiteTable([others]).ofHost("x")).toEqual([others]);
  });
});

test("siteId() differs with all that a request's meaning depends on, and with nothing else", () => {
  const base = {
    name: "",
    path: "",
    stripPath: false,
    origins: ["http://o/"],
    rules: [{ paths: ["*"], bypass: true }],
  };
  const others = [
    { name: "a" },
    { path: "/a" },
    { stripPath: true },
    { origins: ["http://p/"] },
    { rules: [] },
    { rules: [{ paths: ["/*"], bypass: true }] },
    { rules: [{ paths: ["*"] }] },
    { rules: [{ paths: ["*"], bypass: true, ttlSeconds: 0 }] },
    { rules: [{ paths: ["*"], bypass: true, staleIfErrorSeconds: 0 }] },
    { rules: [{ paths: ["*"], bypass: true, headers: ["cookie"] }] },
    { rules: [{ paths: ["*"], bypass: true, query: { kind: "only" as const, names: [], forward: "all" as const } }] },
  ];
  expect(new Set([base, ...others.map((other) => ({ ...base, ...other }))].map(siteId)).size).toBe(others.length + 1);
  expect(siteId({ ...base, rules: [{ bypass: true, paths: ["*"] }] })).toBe(siteId(base));
});
