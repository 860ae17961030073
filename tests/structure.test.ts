/**
 * Who may import whom, read from the text of every source file in the repository. (`Bun.Transpiler.scanImports` drops
 * `import type` in silence.)
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

/** What each workspace may import of ours, in files that are no tests. `bun:ffi` and pointers: `packages/ipc` only. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "packages/ipc": [],
  "packages/protocol": [],
  "packages/origin": ["@proj/ipc", "@proj/protocol"],
  "packages/process": ["@proj/ipc", "@proj/protocol"],
  "packages/shared-tier": [],
  "packages/cache": ["@proj/ipc", "@proj/process", "@proj/origin", "@proj/protocol", "@proj/shared-tier"],
  "packages/proxy": ["@proj/ipc", "@proj/process", "@proj/origin", "@proj/protocol"],
  "apps/cli": ["@proj/ipc", "@proj/process", "@proj/protocol", "@proj/cache", "@proj/proxy"],
};

/**
 * Entries beside the packages' own, which hold a part of what a package is, for those who need no more of it, and the files that they are. Names like `@proj/cache/storage/…`, for whatever lies in
 * there, are none.
 */
const ENTRIES: ReadonlyMap<string, string> = new Map([
  ["@proj/cache/store", "packages/cache/src/store.ts"],
  ["@proj/protocol/process", "packages/protocol/src/process.ts"],
]);

/** The package that an entry belongs to. */
const packageOf = (name: string) => name.split("/").slice(0, 2).join("/");

interface Source {
  path: string;
  text: string;
}

/** Every file that git knows or would take: what is checked is what a clone holds. */
function sourceFiles(): Source[] {
  const listed = Bun.spawnSync(
    ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    { cwd: ROOT },
  );
  const paths = listed.stdout.toString().split("\0").filter(Boolean);
  return [...new Set(paths)].flatMap((path) => {
    try {
      return [{ path, text: readFileSync(join(ROOT, path), "utf8") }];
    } catch {
      return []; // deleted, not yet committed
    }
  });
}

/** The module names that a file imports or exports from, types included, whether static or dynamic. */
export function importsOf(text: string): string[] {
  const statement =
    /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+|\brequire\s*\(\s*|\bresolveSync\(\s*)["']([^"'\n]+)["']/gm;
  return [...text.matchAll(statement)].map((match) => match[1]!);
}

const files = sourceFiles();
const code = files.filter(({ path }) => /\.(ts|tsx|js|mjs)$/.test(path));
const isTest = (path: string) => /\.test\.ts$|\/test\/|\/test-support\.ts$|\/bench\//.test(path);
const workspaceOf = (path: string) => Object.keys(MAY_IMPORT).find((workspace) => path.startsWith(`${workspace}/`));

function offenders(sources: readonly Source[], isWrong: (source: Source) => readonly string[]): string[] {
  return sources.flatMap((source) => isWrong(source).map((what) => `${source.path}: ${what}`));
}

describe("structure", () => {
  test("the scan sees every kind of import", () => {
    const text = [
      'import { a } from "@proj/a";',
      'import type { b } from "@proj/b";',
      'export * from "@proj/c";',
      'const d = await import("@proj/d");',
      'type E = import("@proj/e").E;',
      'import "@proj/f";',
      'import {\n  g,\n} from "@proj/g";',
    ].join("\n");
    expect(importsOf(text)).toEqual(["a", "b", "c", "d", "e", "f", "g"].map((name) => `@proj/${name}`));
  });

  test("all workspaces are found", () => {
    const found = new Set(code.map(({ path }) => workspaceOf(path)));
    for (const workspace of Object.keys(MAY_IMPORT)) expect(found).toContain(workspace);
    const manifests = files.filter(({ path }) => /^(packages|apps)\/[^/]+\/package\.json$/.test(path));
    expect(manifests.map(({ path }) => path.replace("/package.json", "")).sort()).toEqual(
      Object.keys(MAY_IMPORT).sort(),
    );
  });

  test("each workspace imports only those it may", () => {
    const wrong = offenders(code, ({ path, text }) => {
      const workspace = workspaceOf(path);
      if (workspace === undefined || isTest(path)) return [];
      return importsOf(text).filter((name) =>
        name.startsWith("@proj/")
          ? !MAY_IMPORT[workspace]!.includes(packageOf(name))
          : name === "webproxy" && workspace !== "apps/cli",
      );
    });
    expect(wrong).toEqual([]);
  });

  test("tests and benches of a workspace do not tie proxy and cache together either", () => {
    const wrong = offenders(code, ({ path, text }) => {
      if (path.startsWith("packages/proxy/")) return importsOf(text).filter((name) => name.startsWith("@proj/cache"));
      if (path.startsWith("packages/cache/")) return importsOf(text).filter((name) => name.startsWith("@proj/proxy"));
      return [];
    });
    expect(wrong).toEqual([]);
  });

  test("nobody reaches into another workspace past its entries", () => {
    const wrong = offenders(code, ({ path, text }) =>
      importsOf(text).filter((name) => {
        if (/^@proj\/[^/]+\//.test(name)) return !ENTRIES.has(name);
        if (!name.startsWith(".")) return false;
        const target = join("/", path, "..", name).slice(1);
        const isEntryForBench = workspaceOf(path) === undefined && target.endsWith("/src/index.ts");
        return workspaceOf(target) !== workspaceOf(path) && workspaceOf(target) !== undefined && !isEntryForBench;
      }),
    );
    expect(wrong).toEqual([]);
  });

  test("manifests name what is imported, and ipc depends on nothing", () => {
    const wrong = offenders(code, ({ path, text }) => {
      const workspace = workspaceOf(path);
      if (workspace === undefined || isTest(path)) return [];
      const manifest = JSON.parse(readFileSync(join(ROOT, workspace, "package.json"), "utf8"));
      const named = { ...manifest.dependencies, ...manifest.devDependencies };
      return importsOf(text).filter((name) => name.startsWith("@proj/") && !(packageOf(name) in named));
    });
    expect(wrong).toEqual([]);
    const ipc = JSON.parse(readFileSync(join(ROOT, "packages/ipc/package.json"), "utf8"));
    expect([ipc.dependencies ?? {}, ipc.peerDependencies ?? {}, ipc.optionalDependencies ?? {}]).toEqual([{}, {}, {}]);
  });

  test("manifests export the entries, and nothing else of ours", () => {
    const exported = Object.keys(MAY_IMPORT)
      .filter((workspace) => workspace.startsWith("packages/"))
      .flatMap((workspace) => {
        const { name, exports } = JSON.parse(readFileSync(join(ROOT, workspace, "package.json"), "utf8"));
        return Object.entries<unknown>(exports)
          .filter(([entry]) => entry !== "." && entry !== "./package.json")
          .map(([entry, file]) => [join(name, entry), join(workspace, String(file))]);
      });
    expect(exported.sort()).toEqual([...ENTRIES]);
  });

  test("protocol does no I/O", () => {
    const wrong = offenders(code, ({ path, text }) => {
      if (!path.startsWith("packages/protocol/src/") || isTest(path)) return [];
      const modules = importsOf(text).filter((name) => /^(node:|bun($|:))/.test(name) && name !== "node:buffer");
      const globals = text.match(
        /\b(Bun\.(?!hash\b)\w+|process\.\w+|fetch\(|setTimeout\(|setInterval\(|console\.\w+)/g,
      );
      return [...modules, ...(globals ?? [])];
    });
    expect(wrong).toEqual([]);
  });

  test("only packages/ipc names the FFI, and only its libc.ts opens a library", () => {
    const others = code.filter(({ path }) => path !== "tests/structure.test.ts");
    const naming = (word: RegExp) => others.filter(({ text }) => word.test(text)).map(({ path }) => path);
    expect(naming(/bun:ffi/).filter((path) => !path.startsWith("packages/ipc/"))).toEqual([]);
    expect(naming(/\bdlopen\(/)).toEqual(["packages/ipc/src/libc.ts"]);
  });

  test("each package exports its public names by hand", () => {
    for (const workspace of Object.keys(MAY_IMPORT).filter((path) => path.startsWith("packages/"))) {
      const { exports } = JSON.parse(readFileSync(join(ROOT, workspace, "package.json"), "utf8"));
      const entry = typeof exports["."] === "string" ? exports["."] : exports["."].default;
      expect(entry).toBe("./src/index.ts");
      expect(readFileSync(join(ROOT, workspace, "src/index.ts"), "utf8")).not.toMatch(/export \*/);
    }
    for (const file of ENTRIES.values()) {
      const names = readFileSync(join(ROOT, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
      expect(names.replace(/export (type )?\{[^}]*\} from "[^"]+";/g, "").trim()).toBe("");
    }
  });

  test("no path of a machine, no test that is alone or put off", () => {
    const machine = new RegExp(
      ["/usr/local/bin/b" + "un", "/ro" + "ot/", "/home/[a-z]", "[\"'`]/wo" + "rk/"].join("|"),
    );
    expect(offenders(files, ({ text }) => machine.exec(text)?.slice(0, 1) ?? [])).toEqual([]);
    const alone = new RegExp(`\\b(test|it|describe)\\.${"on" + "ly"}\\(|\\.${"to" + "do"}\\(`);
    expect(offenders(code, ({ text }) => alone.exec(text)?.slice(0, 1) ?? [])).toEqual([]);
  });
});
