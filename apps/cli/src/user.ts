import { readFileSync } from "node:fs";
import { cannotRun } from "./command-error.ts";
import type { Log } from "./log.ts";

interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/**
 * Makes this process one of that user's, for good and before it has made or opened anything: objects in /dev/shm, stored responses and logs belong to that user, ports
 * and certificates have to be his to use. Undefined, or who this already is: nothing changes.
 *
 * @throws {CommandError} Exit code 1: there is no such user, or this one may not become another.
 */
export function becomeUser(user: string | undefined): void {
  if (user === undefined) return;
  const account = accountOf(user, readFileSync("/etc/passwd", "utf8"));
  if (account === undefined) {
    throw cannotRun(`Cannot run as ${user}: /etc/passwd has no such user; give --user the name or the number of one`);
  }
  if (process.geteuid?.() === account.uid) return;
  if (process.geteuid?.() !== 0) {
    throw cannotRun(
      `Cannot run as ${user}: only root may become another user; start webproxy as root, or as ${user} without --user`,
    );
  }
  process.setgroups?.([account.gid]);
  process.setgid?.(account.gid);
  process.setuid?.(account.uid);
  // What the defaults are derived from: the directories of root are none of this user's business.
  Object.assign(process.env, { HOME: account.home, USER: account.name, LOGNAME: account.name });
  for (const name of ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"]) delete process.env[name];
}

/** Says so when this process may do everything: it parses what strangers send. */
export function warnOfRoot(log: Log): void {
  if (process.geteuid?.() !== 0) return;
  const message =
    "running as root: whoever gets the better of it has the machine; give --user NAME, or start it as another user";
  log({ level: "warn", message });
}

/** The account of that name or number among the lines of passwd(5). */
export function accountOf(user: string, passwd: string): Account | undefined {
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = "", gid = "", , home = "/"] = line.split(":");
    if (name === "" || (name !== user && uid !== user)) continue;
    return { name, uid: Number(uid), gid: Number(gid), home };
  }
  return undefined;
}
