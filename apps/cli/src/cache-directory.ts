import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { cannotRun, errorCode, usageError } from "./command-error.ts";
import type { Log } from "./log.ts";

/**
 * The directory for stored responses, made when it is not there; undefined for memory only, which is what `none` asks for.
 *
 * A directory that was asked for has to be usable. The default one need not: a user without a home (a service's, a container's)
 * gets a cache in memory, and a warning.
 *
 * @throws {CommandError} Exit code 1: the directory that was asked for can not be made or written.
 */
export function cacheDirectory(
  { cacheDir, channel, disk }: { cacheDir?: string | undefined; channel: string; disk: number },
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
): string | undefined {
  if (cacheDir === "none" || disk === 0) return undefined;
  const directory = cacheDirectoryPath({ cacheDir, channel }, environment);
  const code = faultOf(directory);
  if (code === undefined) {
    warnOfOtherWriters(directory, log);
    return directory;
  }
  if (cacheDir !== undefined) {
    throw cannotRun(
      `Cannot store responses in ${directory}: ${code}; make it writable for this user, give another with --cache-dir, or --cache-dir none to keep them in memory only`,
    );
  }
  log({
    level: "warn",
    message: `cannot store responses in ${directory}: ${code}; keeping them in memory only (--cache-dir DIR names another place)`,
  });
  return undefined;
}

/**
 * Where the directory for stored responses is, whether there is one or not.
 *
 * @throws {CommandError} Exit code 2: there is to be none.
 */
export function cacheDirectoryPath(
  { cacheDir, channel }: { cacheDir?: string | undefined; channel: string },
  environment: Readonly<Record<string, string | undefined>>,
): string {
  if (cacheDir === "none") {
    throw usageError(
      "Cannot find a store by --cache-dir none, which keeps responses in memory only; name a directory with --cache-dir",
    );
  }
  return resolve(cacheDir ?? defaultDirectory(channel, environment));
}

// XDG Base Directory Specification: a relative XDG_CACHE_HOME is to be ignored.
function defaultDirectory(channel: string, { XDG_CACHE_HOME }: Readonly<Record<string, string | undefined>>): string {
  const home = XDG_CACHE_HOME?.startsWith("/") ? XDG_CACHE_HOME : join(homedir(), ".cache");
  return join(home, "webproxy", channel);
}

/** Checksums find what a disk has spoilt; who may write there can replace a response with all that belongs to it. */
const WRITABLE_BY_OTHERS = 0o022;

function warnOfOtherWriters(directory: string, log: Log): void {
  const { uid, mode: modeAndType } = statSync(directory);
  const remedy = "where responses are stored, and put others in their place";
  if (uid !== 0 && uid !== process.geteuid?.()) {
    const message = `user ${uid}, whose directory it is, may write to ${directory}, ${remedy}: chown it, or give a directory of its own with --cache-dir`;
    log({ level: "warn", message });
  }
  const mode = modeAndType & 0o7777;
  if ((mode & WRITABLE_BY_OTHERS) === 0) return;
  const message = `other users may write to ${directory} (mode ${mode.toString(8)}), ${remedy}: chmod go-w, or give a directory of its own with --cache-dir`;
  log({ level: "warn", message });
}

function faultOf(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return errorCode(error) ?? "it can not be made";
  }
}
