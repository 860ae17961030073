import { readFile, stat } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { cannotRun, errorCode, messageOf, usageError } from "./command-error.ts";
import * as webproxy from "./config.ts";
import type { RawOptions } from "./options.ts";

/**
 * The values in the file that `--config` names: the JSON value of a `.json` file, or what a `.ts`, `.js` or `.mjs` file exports
 * as default. A program is run to read it; nothing is read or run unless it is named.
 *
 * @throws {CommandError} Exit code 1: it is not there or can not be read. 2: its ending or its content is not what is wanted.
 */
export async function readConfigFile(path: string): Promise<RawOptions> {
  await requireFile(path);
  const value = extname(path) === ".json" ? await readJson(path) : await runModule(path);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as RawOptions;
  throw usageError(`Cannot use the config file ${path}: it must hold one object of options, as in { "threads": 4 }`);
}

async function requireFile(path: string): Promise<void> {
  if (![".json", ".ts", ".js", ".mjs"].includes(extname(path))) {
    throw usageError(`Cannot use the config file ${path}: its name must end in .ts, .js, .mjs or .json`);
  }
  const found = await stat(path).catch((error: unknown) => {
    throw cannotRun(
      `Cannot read the config file ${path}: ${errorCode(error)}; check the path given with --config`,
      error,
    );
  });
  if (!found.isFile())
    throw cannotRun(`Cannot read the config file ${path}: it is no file; check the path given with --config`);
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw cannotRun(`Cannot read the config file ${path}: ${errorCode(error)}; check its mode and owner`, error);
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usageError(`Cannot read the config file ${path}: it is no JSON (${messageOf(error)})`);
  }
}

async function runModule(path: string): Promise<unknown> {
  provideOurselves();
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(path)).href);
    return module.default;
  } catch (error) {
    throw cannotRun(`Cannot run the config file ${path}: ${messageOf(error)}`, error);
  }
}

/** `import { defineConfig } from "webproxy"` in a file that lies where no such package is installed. */
function provideOurselves(): void {
  Bun.plugin({
    name: "webproxy",
    setup(build) {
      build.module("webproxy", () => ({ exports: { ...webproxy }, loader: "object" }));
    },
  });
}
