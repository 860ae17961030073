import { chownSync, mkdirSync } from "node:fs";
import type { TempDirectory } from "./temp-directory.ts";

export const IS_ROOT = process.getuid?.() === 0;

/** Whether a mount namespace of one's own can be made: as root, and where the machine is not itself a container that forbids it. */
export const CAN_MOUNT =
  IS_ROOT && Bun.spawnSync(["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm"]).exitCode === 0;

/** What stands before a command so that `nobody` runs it. Only root may. Its home and its XDG directories are in `directory`, so nothing else of the machine is touched. */
export function asNobody(directory: TempDirectory): string[] {
  const home = directory.file("nobody");
  mkdirSync(home, { recursive: true });
  const { uid, gid } = nobody();
  chownSync(home, uid, gid);
  const environment = [`HOME=${home}`, `TMPDIR=${home}`, `XDG_CACHE_HOME=${home}/cache`, `XDG_RUNTIME_DIR=${home}`];
  return ["runuser", "-u", "nobody", "--", "env", ...environment];
}

function nobody(): { uid: number; gid: number } {
  const id = (flag: string) => Number(Bun.spawnSync(["id", flag, "nobody"]).stdout.toString());
  return { uid: id("-u"), gid: id("-g") };
}
