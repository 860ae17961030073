import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { basename, join } from "node:path";

/** A file that is open for one response, and what was true of it when it was opened. Its holder closes it. */
export interface ServedFile extends Disposable {
  readonly fildes: number;
  readonly name: string;
  readonly bytes: number;
  readonly version: FileVersion;
}

/** What tells one content of a file from the next. ctime is in it since mtime can be set back (`cp -p`, `touch -r`). */
export interface FileVersion {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** How many names it has: 0 once it has been replaced or unlinked, while its bytes stay what they were. */
  readonly nlink: bigint;
}

// Linux: an open that looks at the path alone. No device is touched, no FIFO waited for, and no permission to read is needed.
const O_PATH = 0o10000000;

/**
 * Opens the file below `root` that the segments name; a directory stands for its `index.html`. Undefined when there is no such
 * regular file, when this user may not read it, and when a symbolic link leads outside `root`.
 *
 * What was opened is checked, not its path, so a link that is exchanged in between leads nowhere else.
 *
 * @param root As `realpath` gives it.
 * @throws An `EMFILE` or an `EIO`: whatever is not the request's fault.
 */
export function openServedFile(root: string, segments: readonly string[]): ServedFile | undefined {
  const path = join(root, ...segments);
  const isDirectoryWanted = segments.at(-1) === "";
  return openBelow(root, path, isDirectoryWanted) ?? openBelow(root, join(path, "index.html"), false);
}

function openBelow(root: string, path: string, isDirectoryWanted: boolean): ServedFile | undefined {
  if (isDirectoryWanted) return undefined;
  const located = tryOpen(path, O_PATH);
  if (located === undefined) return undefined;
  try {
    if (!fstatSync(located).isFile()) return undefined;
    const link = `/proc/self/fd/${located}`;
    const real = readlinkSync(link);
    if (!isPublicBelow(root, real)) return undefined;
    const fildes = tryOpen(link, constants.O_RDONLY);
    return fildes === undefined ? undefined : servedFile(fildes, basename(path));
  } finally {
    closeSync(located);
  }
}

function isPublicBelow(root: string, real: string): boolean {
  const above = root === "/" ? "" : root;
  return real.startsWith(`${above}/`) && !real.slice(above.length).includes("/.");
}

function servedFile(fildes: number, name: string): ServedFile {
  const version = versionOf(fildes);
  return { fildes, name, bytes: Number(version.size), version, [Symbol.dispose]: () => closeSync(fildes) };
}

/** The content that the open file has now. */
export function versionOf(fildes: number): FileVersion {
  const { dev, ino, size, mtimeNs, ctimeNs, nlink } = fstatSync(fildes, { bigint: true });
  return { dev, ino, size, mtimeNs, ctimeNs, nlink };
}

/** Whether an open file still has the content it had. Losing or gaining a name changes ctime too, and nothing else. */
export function isSameVersion(one: FileVersion, other: FileVersion): boolean {
  return (
    one.size === other.size &&
    one.mtimeNs === other.mtimeNs &&
    (one.ctimeNs === other.ctimeNs || one.nlink !== other.nlink)
  );
}

/** Those `bytes` of the file from `offset` on; undefined when it ends before. */
export function readServedFile(file: ServedFile, offset: number, bytes: number): Uint8Array<ArrayBuffer> | undefined {
  const into = new Uint8Array(bytes);
  let done = 0;
  while (done < bytes) {
    const count = readSync(file.fildes, into, done, bytes - done, offset + done);
    if (count === 0) return undefined;
    done += count;
  }
  return into;
}

// What a request can cause: a name that is not there, is too long, loops, goes through a file, or is not readable.
const NOT_SERVED = new Set(["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG", "ENXIO", "EISDIR"]);

function tryOpen(path: string, oflag: number): number | undefined {
  try {
    return openSync(path, oflag | (oflag === O_PATH ? 0 : constants.O_NONBLOCK));
  } catch (error) {
    if (error instanceof Error && "code" in error && NOT_SERVED.has(String(error.code))) return undefined;
    throw error;
  }
}
