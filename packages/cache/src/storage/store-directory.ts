import { Database } from "bun:sqlite";
import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expectDirectory, type FileSystem, isMissing } from "./file-system.ts";

/** Version 2 has no digests in the names of its files, which are read all the same. */
const STORE_VERSION = 3;
const VERSIONS_TAKEN_OVER = new Set<unknown>([2]);
const MARKER = "webproxy-store.json";
const LOCK = "lock";
const INCOMING = "incoming";
/** Version 1 had a directory for each shard, with bodies that no later life could use. */
const DIRECTORY_OF_VERSION_1 = /^shard-\d+$/;
const BODY_OF_VERSION_1 = /^[0-9a-z]+\.body$/;

/** The entries', see entry-name.ts. */
const PARTITION = /^[0-9a-f]{2}$/;
/** What a shard makes below {@link INCOMING}, and in there. */
const SHARD = /^\d+$/;
const ARRIVING = /^[0-9a-z-]+$/;

/** The directory of the disk tier can not be used. */
export class StoreDirectoryError extends Error {
  readonly code: string;

  constructor(directory: string, code: string, why: string, cause?: unknown) {
    super(
      `Cannot keep responses in "${directory}": ${why}. Choose another directory with --cache-dir, or "none" to use memory only`,
      { cause },
    );
    this.name = "StoreDirectoryError";
    this.code = code;
  }
}

/**
 * Whoever only reads a store, while a cache may run there, has to know its version too.
 *
 * @throws {Error} `ERR_STORE_VERSION`: it holds a store of another version.
 */
export function expectReadable(path: string): void {
  const fault = versionFault(join(path, MARKER));
  if (fault === undefined || fault === "absent" || fault === "older") return;
  const message = `Cannot read the store in "${path}": ${fault.why}. Name another with --cache-dir`;
  throw Object.assign(new Error(message), { code: "ERR_STORE_VERSION" });
}

/** Bodies that are still arriving at one shard. */
export function incomingDirectory(directory: string, shard: number): string {
  return join(directory, INCOMING, String(shard));
}

/** Makes that directory; each on the way to it is looked at, see {@link expectDirectory}. */
export function makeIncomingDirectory(files: FileSystem, directory: string, shard: number): void {
  files.makeDirectory(join(directory, INCOMING));
  files.makeDirectory(incomingDirectory(directory, shard));
}

/** What is locked as long as a process has the directory. */
export function lockIn(directory: string): string {
  return join(directory, LOCK);
}

/** The directory of the disk tier, held by one process at a time. */
export class StoreDirectory implements Disposable {
  readonly path: string;
  readonly #lock: Database;

  private constructor(path: string, lock: Database) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes the directory if need be, takes it for this process, and removes what a former life was still receiving.
   *
   * The lock is the one that SQLite takes on a database file: the kernel drops it when the process ends, whatever ends it; it is seen through every
   * mount of the directory, which a name in /dev/shm is not; and no pid has to be believed.
   *
   * @throws {StoreDirectoryError} `ERR_STORE_IN_USE`: another process has it. `ERR_STORE_VERSION`: it holds a store of another version. `ERR_STORE_LINK`: there is
   *   something else in it where the store has a directory, such as a symbolic link. `EACCES`, `ENOTDIR`, `EROFS` and the like: it can not be made or written.
   */
  static open(path: string): StoreDirectory {
    let lock: Database | undefined;
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
      lock = lockDirectory(path);
      checkVersion(path);
      checkDirectories(path);
      removeVersion1(path);
      removeIncoming(path);
      return new StoreDirectory(path, lock);
    } catch (error) {
      lock?.close();
      if (error instanceof StoreDirectoryError) throw error;
      const { code = "ERR_CACHE_DIR", message } = error as NodeJS.ErrnoException;
      throw new StoreDirectoryError(path, code, code.startsWith("ERR_") ? message : code, error);
    }
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

function lockDirectory(path: string): Database {
  makeOwnFile(lockIn(path));
  const lock = new Database(lockIn(path));
  try {
    lock.run("PRAGMA busy_timeout = 0");
    lock.run("PRAGMA journal_mode = MEMORY"); // nothing is ever written
    lock.run("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code !== "SQLITE_BUSY") throw error;
    throw new StoreDirectoryError(path, "ERR_STORE_IN_USE", "another process uses it", error);
  }
}

/**
 * SQLite would make it for everybody to read, and follow a symbolic link. What is there is not opened for this: closing it would take a lock away that another
 * holder in this process has.
 */
function makeOwnFile(path: string): void {
  try {
    closeSync(openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (lstatSync(path).isSymbolicLink())
      throw Object.assign(new Error("its lock is a symbolic link"), { code: "ELOOP" });
  }
}

function checkVersion(path: string): void {
  const marker = join(path, MARKER);
  const fault = versionFault(marker);
  if (fault === undefined) return;
  if (fault === "absent" || fault === "older") return writeMarker(marker);
  throw new StoreDirectoryError(path, "ERR_STORE_VERSION", `${fault.why}; remove it if it is not needed`);
}

/** What is the matter with a store's version: there is no store yet, or one that is taken over, or one that is not known. */
function versionFault(marker: string): undefined | "absent" | "older" | { why: string } {
  let text: string;
  try {
    text = readOwnFile(marker);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return "absent";
  }
  const version = versionOf(text);
  if (version === STORE_VERSION) return undefined;
  if (VERSIONS_TAKEN_OVER.has(version)) return "older";
  return {
    why: `it holds a store of version ${version ?? "unknown"}, and this program knows versions up to ${STORE_VERSION}`,
  };
}

/** Forced to the medium before it has its name: a power cut leaves none, or a whole one, never an empty one, which would be a store of no known version. */
function writeMarker(marker: string): void {
  const text = `${JSON.stringify({ format: "webproxy-store", version: STORE_VERSION })}\n`;
  rmSync(`${marker}.new`, { force: true });
  writeFileSync(`${marker}.new`, text, { mode: 0o600, flush: true, flag: "wx" }); // "x": no symbolic link is followed
  renameSync(`${marker}.new`, marker);
}

/** @throws {Error} `ELOOP`: it is a symbolic link. */
function readOwnFile(path: string): string {
  const fildes = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return readFileSync(fildes, "utf8");
  } finally {
    closeSync(fildes);
  }
}

function versionOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { version?: unknown }).version;
  } catch {
    return undefined;
  }
}

/** Before anything is removed: through a symbolic link that would be somewhere else, where this user may do more than who made the link. */
function checkDirectories(path: string): void {
  const own = [INCOMING, ...namesIn(path).filter((name) => PARTITION.test(name))];
  for (const name of own) checkDirectory(path, name);
  for (const shard of namesIn(join(path, INCOMING)).filter((name) => SHARD.test(name)))
    checkDirectory(path, join(INCOMING, shard));
}

function checkDirectory(path: string, name: string): void {
  try {
    expectDirectory(join(path, name));
  } catch (error) {
    if (isMissing(error)) return;
    throw new StoreDirectoryError(path, "ERR_STORE_LINK", `${(error as Error).message}; remove it`, error);
  }
}

function removeVersion1(path: string): void {
  for (const name of readdirSync(path)) {
    const directory = join(path, name);
    if (!DIRECTORY_OF_VERSION_1.test(name) || !lstatSync(directory).isDirectory()) continue;
    const files = readdirSync(directory);
    if (files.every((file) => BODY_OF_VERSION_1.test(file))) rmSync(directory, { recursive: true });
  }
}

/** What was still arriving in a former life. A directory may have been somebody's before it became a store: what no store has made is not removed. */
function removeIncoming(path: string): void {
  const incoming = join(path, INCOMING);
  for (const shard of namesIn(incoming).filter((name) => SHARD.test(name))) {
    const directory = join(incoming, shard);
    for (const file of namesIn(directory).filter((name) => ARRIVING.test(name))) rmSync(join(directory, file));
    removeIfEmpty(directory);
  }
  removeIfEmpty(incoming);
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** The names in a directory; none where there is no directory. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}
