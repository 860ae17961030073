import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TempDirectory } from "./temp-directory.ts";
import type { StartOptions } from "./webproxy.ts";

const ROOT = join(import.meta.dir, "../..");
const TIMEOUT_MS = 60_000;

/** Packs a workspace into `directory` and returns the tarball's path. One copy of the tests at a time: packing builds into the workspace. */
export function pack(workspace: string, directory: TempDirectory): string {
  const destination = directory.file(workspace.replaceAll("/", "-"));
  mkdirSync(destination);
  run(["flock", "package.json", process.execPath, "pm", "pack", "--destination", destination], join(ROOT, workspace));
  const [tarball] = readdirSync(destination);
  if (tarball === undefined) throw new Error(`bun pm pack of ${workspace} made no tarball`);
  return join(destination, tarball);
}

/** How to start the command as an operator has it, packed. */
export function packedCommand(directory: TempDirectory): Pick<StartOptions, "program" | "env"> {
  const tarball = pack("apps/cli", directory);
  run(["tar", "-xzf", tarball], dirname(tarball));
  return { program: [join(dirname(tarball), "package", "bin", "webproxy")], env: pathWithBun(directory) };
}

/** An empty project with the tarballs installed, and nothing else; everybody may read it. */
export function installInto(directory: TempDirectory, tarballs: readonly string[]): string {
  const project = directory.file("project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  run([process.execPath, "add", ...tarballs], project);
  return project;
}

/** A search path that has `bun` on it, as a machine has where Bun is installed: the packages' commands ask for it. */
export function pathWithBun(directory: TempDirectory): { PATH: string } {
  const folder = directory.file("bin");
  mkdirSync(folder);
  symlinkSync(process.execPath, join(folder, "bun"));
  const { PATH = "" } = process.env;
  return { PATH: `${folder}:${PATH}` };
}

/** A copy of the running Bun that another user may run: this one's directory may be closed to others. */
export function copyBun(directory: TempDirectory): string {
  const copy = directory.file("bun");
  copyFileSync(process.execPath, copy);
  return copy;
}

/** @throws When the command fails, with what it said. */
export function run(command: readonly string[], cwd: string, env: Record<string, string> = {}): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    cwd,
    timeout: TIMEOUT_MS,
    env: { ...process.env, ...env },
  });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} in ${cwd}: exit code ${exitCode}: ${stderr}${stdout}`);
  return stdout.toString();
}
