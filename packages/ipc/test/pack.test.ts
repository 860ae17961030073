import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { readmeBlocks } from "./readme-blocks.ts";

/**
 * What another project gets: the packed tarball, installed into an empty project without a network, type-checked as strictly
 * as TypeScript can, and the README's examples run against it.
 */
const PACKAGE = new URL("../", import.meta.url).pathname;
const MODULES = new URL("../../../node_modules/", import.meta.url).pathname;
const WATCHDOG = 60_000;

let project: string;

interface Outcome {
  readonly exitCode: number;
  readonly output: string;
}

async function run(command: string[], cwd: string): Promise<Outcome> {
  const env = { ...process.env, BUN_INSTALL_CACHE_DIR: `${project}/cache`, BUN_CONFIG_REGISTRY: "http://127.0.0.1:9/" };
  const child = Bun.spawn(command, { cwd, env, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, output: `${out}${err}` };
}

async function succeed(command: string[], cwd = project): Promise<string> {
  const { exitCode, output } = await run(command, cwd);
  if (exitCode !== 0) throw new Error(`Cannot ${command.join(" ")}: exit code ${exitCode}\n${output}`);
  return output;
}

beforeAll(async () => {
  project = mkdtempSync(`${tmpdir()}/ipc-pack-`);
  await succeed([process.execPath, "pm", "pack", "--filename", `${project}/ipc.tgz`], PACKAGE);
  await Bun.write(
    `${project}/package.json`,
    JSON.stringify({ name: "consumer", dependencies: { "@proj/ipc": "file:./ipc.tgz" } }),
  );
  await succeed([process.execPath, "install"]);
}, WATCHDOG);

afterAll(() => rmSync(project, { recursive: true, force: true }));

test("the tarball holds the sources, the command, README and LICENSE, and nothing of the tests", async () => {
  const files = (await succeed(["tar", "-tzf", "ipc.tgz"])).trim().split("\n");
  for (const file of ["src/index.ts", "bin/ipc.ts", "README.md", "LICENSE", "package.json"])
    expect(files).toContain(`package/${file}`);
  expect(files.filter((file) => /test|\.c$|\.py$|tsconfig/.test(file))).toEqual([]);
});

test("installing it needs no other package", () => {
  expect(readdirSync(`${project}/node_modules`).filter((name) => !name.startsWith("."))).toEqual(["@proj"]);
  expect(readdirSync(`${project}/node_modules/@proj`)).toEqual(["ipc"]);
  expect(JSON.parse(readFileSync(`${PACKAGE}package.json`, "utf8"))).toMatchObject({ dependencies: {} });
});

test(
  "the README's examples type-check in a strict project",
  async () => {
    for (const modules of ["bun-types", "undici-types", "@types"])
      symlinkSync(`${MODULES}${modules}`, `${project}/node_modules/${modules}`);
    mkdirSync(`${project}/examples`);
    for (const { title, code } of examples()) await Bun.write(`${project}/examples/${fileOf(title)}`, code);
    const compilerOptions = {
      ...{
        target: "ESNext",
        module: "Preserve",
        moduleResolution: "bundler",
        moduleDetection: "force",
        lib: ["ESNext"],
      },
      ...{
        types: ["bun-types"],
        allowImportingTsExtensions: true,
        verbatimModuleSyntax: true,
        noEmit: true,
        skipLibCheck: true,
      },
      ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noImplicitOverride: true },
      ...{ erasableSyntaxOnly: true, noUnusedLocals: true, noUnusedParameters: true, noImplicitReturns: true },
    };
    await Bun.write(`${project}/tsconfig.json`, JSON.stringify({ compilerOptions, include: ["examples"] }));
    expect(await run([`${MODULES}.bin/tsc`, "-p", "."], project)).toEqual({ exitCode: 0, output: "" });
  },
  WATCHDOG,
);

test(
  "the README's examples run against the installed package",
  async () => {
    for (const { title, code } of examples()) {
      await Bun.write(`${project}/examples/${fileOf(title)}`, code);
      await succeed([process.execPath, `examples/${fileOf(title)}`]);
    }
  },
  WATCHDOG,
);

test("the command is installed", async () => {
  const command = `${project}/node_modules/.bin/ipc`;
  expect(await succeed([process.execPath, command, "--help"])).toContain("ipc clean");
  expect(
    JSON.parse(await succeed([process.execPath, command, "ls", "--json", "--prefix", `/none-${process.pid}`])),
  ).toEqual([]);
});

function examples() {
  return readmeBlocks(readFileSync(`${PACKAGE}README.md`, "utf8"));
}

function fileOf(title: string): string {
  return `${title.replace(/\W+/g, "-")}.ts`;
}
