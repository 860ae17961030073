/** The documentation says only what is true: its commands run, its files are there, the reference is the schema's, the messages are ours. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { blocksOf, commandsOf, DocsSession, isServer } from "./support/docs-session.ts";

const ROOT = join(import.meta.dir, "..");
const DOCS = join(ROOT, "docs");
const TIMEOUT_MS = 240_000;

const pages = readdirSync(DOCS).filter((name) => name.endsWith(".md"));
const textOf = (page: string) => readFileSync(join(DOCS, page), "utf8");

describe("every command of", () => {
  for (const name of [...pages.map((page) => `docs/${page}`), "README.md"]) {
    const all = blocksOf(readFileSync(join(ROOT, name), "utf8"));
    // The set-up, the main job and the tests have a test of their own (readme.test.ts).
    const blocks = name === "README.md" ? all.slice(2) : all;
    const commands = blocks.filter(({ language }) => language === "sh").flatMap(commandsOf);
    if (commands.length === 0) continue;
    test(
      `${name} runs (${commands.length})`,
      async () => {
        await using session = DocsSession.begin();
        // A page that does not start anything is read while something runs.
        if (!isServer(commands[0]!) && !commands.some(isServer))
          await session.follow({ language: "sh", text: "mkdir -p public\nnpx webproxy --origin demo\n" });
        for (const block of blocks) await session.follow(block);
      },
      TIMEOUT_MS,
    );
  }
});

test("links lead to files that are there, in docs/ and in packages", () => {
  const broken = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, path]) => path!)
      .filter((path) => !existsSync(join(DOCS, path)))
      .map((path) => `${page}: ${path}`),
  );
  expect(broken).toEqual([]);
  // Each page can be found: from the index, or from the front page.
  const index = textOf("README.md") + readFileSync(join(ROOT, "README.md"), "utf8").replaceAll("(docs/", "(");
  for (const page of pages.filter((name) => name !== "README.md")) expect(index).toContain(`(${page})`);
});

test("docs/configuration-reference.md is what the schema says now", () => {
  const script = `import { renderReference } from "./apps/cli/src/config-reference.ts"; process.stdout.write(renderReference());`;
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, "-e", script], { cwd: ROOT, timeout: 30_000 });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  // Else: bun run docs:reference
  expect(textOf("configuration-reference.md")).toBe(stdout.toString());
});

test("the messages that docs/troubleshooting.md explains are in the source", () => {
  const sources = [...new Bun.Glob("{packages,apps}/*/src/**/*.ts").scanSync(ROOT)].filter(
    (path) => !path.endsWith(".test.ts"),
  );
  const source = sources.map((path) => readFileSync(join(ROOT, path), "utf8")).join("\n");
  const rows = textOf("troubleshooting.md")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  const messages = rows.flatMap((row) =>
    [...row.split(" | ")[0]!.matchAll(/`([^`]+)`/g)].map(([, message]) => message!),
  );
  expect(messages.length).toBeGreaterThan(15);
  // "..." stands for what differs from one time to the next.
  const isSaid = (message: string) =>
    message
      .split("...")
      .map((piece) => piece.trim().replace(/^[".:]+|[".:]+$/g, ""))
      .every((piece) => source.includes(piece.trim()));
  expect(messages.filter((message) => !isSaid(message))).toEqual([]);
});
