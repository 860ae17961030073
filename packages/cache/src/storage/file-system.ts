import {
  closeSync,
  constants,
  fsync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  open,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { type FileHandle, open as openHandle } from "node:fs/promises";
import { promisify } from "node:util";
import { openAtHand, readAtHand } from "@proj/ipc";

const syncFile = promisify(fsync);
const openFile = promisify(open);
const readFile = promisify(read);

const READING = constants.O_RDONLY | constants.O_NOFOLLOW;

/**
 * What the disk tier asks of the operating system, and nothing else: each call is one system call or a loop of one, so that a test can stand between
 * and fail, shorten or end the process at each in turn. Those that give no promise block, but for {@link openAtHand} and {@link readAtHand}; all throw errors with a `code`.
 */
export interface FileSystem {
  /** A new, empty file for reading and writing, mode 0600; `EEXIST` when the name is taken. */
  create(path: string): number;
  /** An existing file for reading; a symbolic link is refused. */
  open(path: string): number;
  /** As {@link open}, where nothing has to be read from the medium for it; else undefined, also where nobody can tell. */
  openAtHand(path: string): number | undefined;
  /** As {@link open}, by another thread. */
  openLater(path: string): Promise<number>;
  /** An existing file for writing; a symbolic link is refused. */
  openForWriting(path: string): number;
  close(fildes: number): void;
  /** Writes all of `bytes` at `position`. */
  write(fildes: number, bytes: Uint8Array, position: number): void;
  /** Reads until `into` is full or the file ends; returns how many bytes. */
  read(fildes: number, into: Uint8Array, position: number): number;
  /** Reads what can be had without waiting for the medium; returns how many bytes, 0 also where nobody can tell. */
  readAtHand(fildes: number, into: Uint8Array, position: number): number;
  /** As {@link read}, by another thread: `into` and `fildes` are its until then. */
  readLater(fildes: number, into: Uint8Array, position: number): Promise<number>;
  truncate(fildes: number, length: number): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Makes it where it is not there; `ELOOP` when it is a symbolic link. */
  makeDirectory(path: string): void;
  /** Forces a file's content to the medium; without blocking the thread. */
  sync(fildes: number): Promise<void>;
  /** Forces to the medium which names are in a directory; one that is not there has none. Does not block the thread. */
  syncDirectory(path: string): Promise<void>;
  /** The names in a directory; none when it is not there; `ELOOP` when it is a symbolic link. */
  list(directory: string): string[];
  /** Length of the file in bytes; undefined when it is not there. */
  sizeOf(path: string): number | undefined;
  /** What is free for this user, and what there is in all. Files without a limit count as 0. */
  space(directory: string): { freeBytes: number; totalBytes: number; freeFiles: number; totalFiles: number };
}

export const FILE_SYSTEM: FileSystem = {
  create: (path) =>
    openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_NOFOLLOW, 0o600),
  open: (path) => openSync(path, READING),
  openAtHand,
  openLater: (path) => openFile(path, READING),
  openForWriting: (path) => openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW),
  close: closeSync,
  write(fildes, bytes, position) {
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(fildes, bytes, written, bytes.length - written, position + written);
    }
  },
  read(fildes, into, position) {
    let done = 0;
    while (done < into.length) {
      const count = readSync(fildes, into, done, into.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  },
  readAtHand,
  async readLater(fildes, into, position) {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await readFile(fildes, into, done, into.length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  },
  truncate: ftruncateSync,
  rename: renameSync,
  unlink: unlinkSync,
  makeDirectory: (path) => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    expectDirectory(path);
  },
  sync: (fildes) => syncFile(fildes),
  async syncDirectory(path) {
    let directory: FileHandle;
    try {
      directory = await openHandle(path, READING | constants.O_DIRECTORY);
    } catch (error) {
      if (isMissing(error)) return;
      throw error;
    }
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
  list(directory) {
    try {
      expectDirectory(directory);
      return readdirSync(directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  },
  sizeOf: (path) => lstatSync(path, { throwIfNoEntry: false })?.size,
  space(directory) {
    const { bavail, blocks, bsize, ffree, files } = statfsSync(directory);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeFiles: ffree, totalFiles: files };
  },
};

/**
 * What is made, listed and removed below a path goes wherever a symbolic link in it leads, and `O_NOFOLLOW` looks at the last name only: each directory of a store is looked at by itself.
 *
 * @throws {Error} `ELOOP`: it is a symbolic link. `ENOTDIR`: it is no directory. `ENOENT`: it is not there.
 */
export function expectDirectory(path: string): void {
  const there = lstatSync(path);
  if (there.isDirectory()) return;
  const [code, what] = there.isSymbolicLink()
    ? ["ELOOP", "a symbolic link, which is not followed"]
    : ["ENOTDIR", "no directory"];
  throw Object.assign(new Error(`"${path}" is ${what}`), { code });
}

/** The process, or the medium as a whole, can not open files just now: that says nothing about any one of them. */
const UNABLE = new Set(["EMFILE", "ENFILE", "ENOMEM", "EROFS"]);

export function saysNothingOfFile(error: unknown): boolean {
  return UNABLE.has((error as NodeJS.ErrnoException).code ?? "");
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
