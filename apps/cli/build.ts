import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { PACKED_PAGE, renderPage } from "./src/dashboard-page.ts";

/**
 * Bundles the command for packing (`bun pm pack` runs this): dist/main.js, and beside it each Worker's entry, which the packages
 * look for next to the file they are bundled into. Everything they import is inside, so the packed package has no dependencies;
 * the licences of what is inside go with it.
 *
 * The Workers' entries come with their bytecode: a thread of either side would parse half a megabyte before it serves, and each process has several. Another Bun than the one that
 * has built it parses the source beside it. (For main.js and what it loads it is not to be had: bytecode comes in one file, and its commands are in several.)
 *
 * Files are moved into dist/ one by one, so that two builds at once disturb neither each other nor whoever runs the former bundle.
 */
const root = import.meta.dir;
const dist = join(root, "dist");

const temporary = mkdtempSync(join(root, ".building-"));
const outdir = join(temporary, "dist");
try {
  const command = await bundle({
    entrypoints: [join(root, "src", "main.ts")],
    // Commands load their code when they are run: that code is in chunks of its own.
    splitting: true,
    naming: { entry: "[name].js", chunk: "chunk-[hash].js" },
  });
  const threads = await bundle({
    entrypoints: [workerEntry("@proj/cache", "shard-thread.ts"), workerEntry("@proj/proxy", "proxy-thread.ts")],
    format: "cjs",
    bytecode: true,
    naming: { entry: "[name].js" },
  });
  writeFileSync(join(outdir, PACKED_PAGE), await renderPage(join(root, "dashboard")));
  const inputs = [command, threads].flatMap(({ metafile }) => Object.keys(metafile?.inputs ?? {}));
  writeFileSync(join(outdir, "THIRD-PARTY-LICENSES.txt"), licencesOf(inputs));
  const outputs = [...command.outputs, ...threads.outputs];
  const sizes = outputs.map(({ path, size }) => `dist/${basename(path)}  ${size} bytes`);
  moveInto(dist, outdir);
  console.log(sizes.join("\n"));
} finally {
  rmSync(temporary, { recursive: true });
}

async function bundle(what: Omit<Bun.BuildConfig, "outdir" | "root" | "target">): Promise<Bun.BuildOutput> {
  const built = await Bun.build({
    ...what,
    outdir,
    root,
    target: "bun",
    metafile: true,
    throw: false,
  } as Bun.BuildConfig);
  for (const message of built.logs) console.error(String(message));
  if (!built.success) process.exit(1);
  return built;
}

function workerEntry(packageName: string, file: string): string {
  return join(dirname(Bun.resolveSync(packageName, root)), file);
}

/** Moves the files of a build into their place, then removes what a former build had there besides. */
function moveInto(directory: string, from: string): void {
  mkdirSync(directory, { recursive: true });
  const files = readdirSync(from);
  for (const file of files) renameSync(join(from, file), join(directory, file));
  const stale = readdirSync(directory).filter((file) => !files.includes(file));
  for (const file of stale) rmSync(join(directory, file), { force: true });
}

/** The licence of every package from node_modules that has a file in the bundle. */
function licencesOf(inputs: readonly string[]): string {
  const packageOf = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//;
  const directories = new Set(inputs.map((input) => packageOf.exec(resolve(root, input))?.[1]));
  directories.delete(undefined);
  const texts = [...directories].map((directory) => licenceOf(directory!)).toSorted();
  return `webproxy's bundle holds code of the following packages.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

function licenceOf(directory: string): string {
  const { name, version, license }: { name: string; version: string; license?: string } = JSON.parse(
    readFileSync(join(directory, "package.json"), "utf8"),
  );
  const file = readdirSync(directory).find((candidate) => /^licen[cs]e(\.(md|txt))?$/i.test(candidate));
  const text =
    file === undefined ? `Licence: ${license ?? "not stated"}\n` : readFileSync(join(directory, file), "utf8");
  return `${name} ${version}\n\n${text.trim()}\n`;
}
