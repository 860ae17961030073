import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmdirSync, symlinkSync, unlinkSync } from "node:fs";
import { basename } from "node:path";
import type { ObjectName } from "./object-name.ts";
import { formatMaker, type Maker, makerState, parseMaker, thisProcess } from "./registry-maker.ts";
import { settle } from "./registry-settle.ts";

/**
 * The registry: who made which object. It lives beside the objects and ends with them, at the latest when the machine
 * does:
 *
 *   /dev/shm/.ipc-registry.UID/                       mode 0700, one for each user
 *     PID.STARTTIME.PIDNAMESPACE.BOOTID/              one directory for each process that made something
 *       mNAME -> "MILLISECONDS PROGRAM"               one symbolic link for each object: kind, then the name without
 *                                                     its slash; made when, by what program
 *
 * A symbolic link is made by one system call and holds its text in the inode: there is no moment at which half of it is
 * written, it takes no page of /dev/shm, and it can be made when /dev/shm is full. The link is made before the object
 * and removed after the object's unlink, so a process that dies at any instruction leaves either nothing, or something
 * that clean() finds. The directories go with the last link in them.
 */
export const KINDS = {
  memory: "m",
  queue: "q",
  semaphore: "s",
  fifo: "f",
  lock: "l",
  /** A segment pool: one entry for all objects whose names begin with the pool's prefix and a dot. */
  pool: "p",
  /** A family: one entry for all files whose names begin with its name and a dot, each of them an object of its own. */
  family: "g",
} as const;

export type ObjectKind = keyof typeof KINDS;

/** One object that somebody made, as the registry has it. */
export interface RegistryEntry {
  readonly kind: ObjectKind;
  readonly name: ObjectName;
  readonly maker: Maker;
  /** Script that the maker ran, such as `server.ts`. */
  readonly program: string;
  /** When the entry was made, in milliseconds since 1970. */
  readonly madeAtMs: number;
  /** The user whose registry holds the entry. */
  readonly uid: number;
  /** Where the entry itself is. */
  readonly path: string;
}

const SHM = "/dev/shm";
const DIRECTORY_PREFIX = ".ipc-registry.";
const PROGRAM_CHARACTERS_MAX = 64;

/** Tries of making an entry while another thread removes the directory that has just become empty. */
const RACES_MAX = 64;

const KIND_OF = new Map(Object.entries(KINDS).map(([kind, letter]) => [letter as string, kind as ObjectKind]));

let ownDirectory: string | undefined;
let hasTidied = false;
const program = basename(process.argv[1] ?? "bun").slice(0, PROGRAM_CHARACTERS_MAX);

/** The directory of a user's registry. */
export function registryDirectory(uid: number): string {
  return `${SHM}/${DIRECTORY_PREFIX}${uid}`;
}

/**
 * Makes an object under a registry entry: the entry first, then the object; when the object can not be made, the entry
 * goes again.
 *
 * A registry that can not be written (no /proc, /dev/shm read-only, its directory made by somebody else) never stops an
 * object from being made: the object is then of unknown maker, and `clean` keeps it.
 *
 * @param make What makes the object. Its error is passed on.
 */
export function recorded<T>(kind: ObjectKind, name: ObjectName, make: () => T): T {
  const isNew = recordCreation(kind, name);
  try {
    return make();
  } catch (error) {
    // An entry that was there already belongs to an object of the same name that this process made before.
    if (isNew) removeOwnEntry(kind, name);
    throw error;
  }
}

/**
 * Writes down that this process is about to make an object. About 5 µs. Call it before the object exists.
 *
 * @returns True when the entry is new; false when this process had it already, or the registry can not be written.
 */
export function recordCreation(kind: ObjectKind, name: ObjectName): boolean {
  try {
    return makeEntry(entryFile(kind, name));
  } catch {
    return false;
  }
}

/**
 * Removes the entry of an object that has just been unlinked, whoever made it. About 7 µs for an object of this process;
 * for another's, one look into the directory of each process that has made something. Call it after the unlink.
 *
 * @param existed Whether there was one to unlink. Where there was none only an entry of our own goes: that of a process that lives may be of what it is
 *   about to make, and those of the dead are forgotten by whoever makes something next.
 */
export function recordRemoval(kind: ObjectKind, name: ObjectName, existed = true): void {
  const wasOurs = removeOwnEntry(kind, name);
  if (!existed) return;
  // A lock's file is taken over from its dead holder as it is: both have made an entry. The next holder, who lives, may
  // have made one as well by now.
  if (kind === "lock") removeOthersEntry(kind, name, (maker) => makerState(maker) === "dead");
  else if (!wasOurs) removeOthersEntry(kind, name, () => true);
}

/** Writes down that an object which a process that has died has left is this process's from now on. Call it once that is so. */
export function recordTakeOver(kind: ObjectKind, name: ObjectName): void {
  recordCreation(kind, name);
  removeOthersEntry(kind, name, (maker) => makerState(maker) === "dead");
}

/**
 * Enters a whole family of objects at once: all shared memory objects, semaphores and FIFOs (not queues) whose names begin
 * with `prefix` and a dot, now and later. For objects that come and go often and are made with `registered: false`: when
 * this process is dead, `clean` judges each of them by itself.
 *
 * The entry ends with {@link unregisterFamily}, or when the process exits and none of the family is left.
 *
 * @example
 * registerFamily(objectName("/my-app.bodies")); // /my-app.bodies.1, /my-app.bodies.2, ...
 */
export function registerFamily(prefix: ObjectName): void {
  recordCreation("family", prefix);
}

/** Ends what {@link registerFamily} began: after the last of the family has been unlinked. */
export function unregisterFamily(prefix: ObjectName): void {
  recordRemoval("family", prefix);
}

/** Forgets what dead processes have entered and what does not exist any more; what does exist is for `clean` to judge. */
export function forgetGone(): void {
  for (const { path } of registries()) {
    for (const makerName of namesIn(path)) {
      const maker = parseMaker(makerName);
      if (maker !== undefined && makerState(maker) === "dead") settle(`${path}/${makerName}`, kindOf);
    }
    removeEmptyDirectories(`${path}/none`); // the registry itself, when nobody is in it
  }
}

/**
 * All entries that this user may read: the user's own, and everybody's for root. Torn or foreign files are left out.
 *
 * @param prefix Only names that begin with this text.
 */
export function readRegistry(prefix = ""): RegistryEntry[] {
  const entries: RegistryEntry[] = [];
  for (const { uid, path } of registries()) {
    for (const makerName of namesIn(path)) {
      const maker = parseMaker(makerName);
      if (maker === undefined) continue;
      for (const file of namesIn(`${path}/${makerName}`)) {
        const entry = readEntry(`${path}/${makerName}`, file, maker, uid);
        if (entry?.name.startsWith(prefix)) entries.push(entry);
      }
    }
  }
  return entries;
}

/** Removes one entry, and the directories that it leaves empty. No error when it is gone already. */
export function removeEntry(entry: RegistryEntry): void {
  removeLink(entry.path);
  removeEmptyDirectories(entry.path.slice(0, entry.path.lastIndexOf("/")));
}

/** Why this process can not write into the registry; `undefined` when it can. */
export function registryFault(): string | undefined {
  try {
    const directory = ownMakerDirectory();
    makeDirectories(directory);
    removeEmptyDirectories(directory);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The registries that this user may read and may trust: a directory of its owner's, and of nobody else's making. */
export function registries(): { uid: number; path: string }[] {
  const found: { uid: number; path: string }[] = [];
  for (const file of namesIn(SHM)) {
    if (!file.startsWith(DIRECTORY_PREFIX)) continue;
    const uid = Number(file.slice(DIRECTORY_PREFIX.length));
    const isReadable = uid === process.geteuid?.() || process.geteuid?.() === 0;
    if (Number.isSafeInteger(uid) && isReadable && faultOf(`${SHM}/${file}`, uid) === undefined) {
      found.push({ uid, path: `${SHM}/${file}` });
    }
  }
  return found;
}

function makeEntry(file: string): boolean {
  const directory = ownMakerDirectory();
  const text = `${Date.now()} ${program}`;
  // Before the first entry the directory is looked at: a stranger may have put a link there that leads elsewhere.
  if (!hasTidied) makeDirectories(directory);
  for (let race = 0; race < RACES_MAX; race++) {
    try {
      symlinkSync(text, `${directory}/${file}`);
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === "EEXIST") return false;
      if (code !== "ENOENT") throw error;
      makeDirectories(directory);
    }
  }
  return false;
}

function makeDirectories(makerDirectory: string): void {
  const base = registryDirectory(effectiveUid());
  makeDirectory(base);
  const fault = faultOf(base, effectiveUid());
  if (fault !== undefined) throw new Error(`Cannot use the IPC registry ${JSON.stringify(base)}: ${fault}`);
  try {
    makeDirectory(makerDirectory);
    if (!hasTidied) tidy(base);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error; // ENOENT: removed between the two calls; the caller tries again
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/**
 * Once in a thread's life, when it makes its first object: forgets what dead processes have entered and what does not
 * exist any more, and sees to it that this process does the same for itself when it exits. So the registry does not
 * collect what others unlink by their own means; what does exist is for `clean` to judge.
 */
function tidy(base: string): void {
  hasTidied = true;
  for (const makerName of namesIn(base)) {
    const maker = parseMaker(makerName);
    if (maker !== undefined && makerState(maker) === "dead") settle(`${base}/${makerName}`, kindOf);
  }
  if (Bun.isMainThread) process.once("exit", settleOwnEntries);
}

function settleOwnEntries(): void {
  if (ownDirectory === undefined) return;
  settle(ownDirectory, kindOf);
  removeEmptyDirectories(ownDirectory);
}

function kindOf(letter: string): ObjectKind | undefined {
  return KIND_OF.get(letter);
}

/** /dev/shm is writable by all: a directory that somebody else put there under our name must not be believed. */
function faultOf(path: string, uid: number): string | undefined {
  try {
    const status = lstatSync(path);
    if (!status.isDirectory()) return "it is not a directory";
    if (status.uid !== uid) return `it belongs to user ${status.uid}, not to ${uid}`;
    if ((status.mode & 0o022) !== 0) return "other users may write into it";
    return undefined;
  } catch (error) {
    return codeOf(error) === "ENOENT" ? undefined : String(error);
  }
}

/** Takes back an entry that {@link recordCreation} has just made, of an object that was not made after all. */
export function removeOwnEntry(kind: ObjectKind, name: ObjectName): boolean {
  if (ownDirectory === undefined) return false;
  if (!removeLink(`${ownDirectory}/${entryFile(kind, name)}`)) return false;
  // Tried each time: other threads add and remove here too, so no count of one thread says when it is empty.
  removeEmptyDirectories(ownDirectory);
  return true;
}

function removeOthersEntry(kind: ObjectKind, name: ObjectName, concerns: (maker: Maker) => boolean): void {
  const base = registryDirectory(effectiveUid());
  if (faultOf(base, effectiveUid()) !== undefined) return;
  for (const makerName of namesIn(base)) {
    const maker = parseMaker(makerName);
    const link = `${base}/${makerName}/${entryFile(kind, name)}`;
    // Asked in this order: few have such an entry, and whether somebody lives takes longer to find out.
    if (maker === undefined || lstatSync(link, { throwIfNoEntry: false }) === undefined || !concerns(maker)) continue;
    if (removeLink(link)) removeEmptyDirectories(`${base}/${makerName}`);
  }
}

function removeEmptyDirectories(makerDirectory: string): void {
  for (const path of [makerDirectory, makerDirectory.slice(0, makerDirectory.lastIndexOf("/"))]) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") return; // not empty: then its parent is not either
    }
  }
}

function removeLink(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function readEntry(directory: string, file: string, maker: Maker, uid: number): RegistryEntry | undefined {
  const kind = KIND_OF.get(file.slice(0, 1));
  if (kind === undefined || file.length < 2) return undefined;
  const path = `${directory}/${file}`;
  try {
    const [madeAt = "", ...words] = readlinkSync(path).split(" ");
    return {
      kind,
      name: `/${file.slice(1)}` as ObjectName,
      maker,
      program: words.join(" "),
      madeAtMs: Number(madeAt),
      uid,
      path,
    };
  } catch {
    return undefined; // removed since the directory was read, or not a link
  }
}

/** The kind's letter takes the place of the slash, so that the longest name still fits a file name. */
function entryFile(kind: ObjectKind, name: ObjectName): string {
  return KINDS[kind] + name.slice(1);
}

function ownMakerDirectory(): string {
  ownDirectory ??= `${registryDirectory(effectiveUid())}/${formatMaker(thisProcess())}`;
  return ownDirectory;
}

function effectiveUid(): number {
  return process.geteuid?.() ?? 0;
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
