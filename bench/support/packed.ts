import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { TempDirectory } from "../../tests/support/temp-directory.ts";

/** The command as an operator has it, packed and unpacked: its path, and the PATH on which it finds this Bun. */
export async function packedCommand(directory: TempDirectory): Promise<{ program: string; path: string }> {
  const [packed, bin] = [directory.file("packed"), directory.file("bin")];
  mkdirSync(packed);
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "bun"));
  const cli = join(import.meta.dir, "../../apps/cli");
  await run(cli, process.execPath, "pm", "pack", "--quiet", "--destination", packed);
  const [tarball] = new Bun.Glob("*.tgz").scanSync({ cwd: packed });
  await run(packed, "tar", "-xzf", tarball!);
  return { program: join(packed, "package", "bin", "webproxy"), path: `${bin}:${process.env["PATH"]}` };
}

async function run(cwd: string, ...command: string[]): Promise<void> {
  const child = Bun.spawn(command, { cwd, stdio: ["ignore", "ignore", "inherit"] });
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} in ${cwd} ended with ${child.exitCode}`);
}
