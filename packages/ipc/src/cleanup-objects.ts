import { fstatSync, lstatSync, readdirSync, readFileSync, type Stats } from "node:fs";
import { type Identity, identityOf } from "./cleanup-holders.ts";
import { ERRNO } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";
import type { ObjectName } from "./object-name.ts";
import type { ObjectKind } from "./registry.ts";

/** Something that exists, under one name. */
export interface Found {
  readonly name: ObjectName;
  readonly isFifo: boolean;
  /** Where it is in the file system; a queue has no such place. */
  readonly path: string | undefined;
  readonly identity: Identity;
  readonly uid: number;
  /** Memory that it takes. */
  readonly bytes: number;
  /** True for a queue that is there but can not be opened by this user: nothing else is known of it. */
  readonly isOpaque: boolean;
  /** When it was made, in milliseconds since 1970; undefined where the kernel does not keep it. */
  readonly bornAtMs: number | undefined;
}

const SHM = "/dev/shm";
const O_WRONLY = 1;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** The object of that kind and name, or `undefined` when there is none. */
export function findObject(kind: Exclude<ObjectKind, "pool" | "family">, name: ObjectName): Found | undefined {
  if (kind === "queue") return findQueue(name);
  if (kind !== "semaphore") return findFile(name, `${SHM}${name}`);
  // glibc puts "sem." before a semaphore's name, musl nothing.
  return findFile(name, `${SHM}/sem.${name.slice(1)}`) ?? findFile(name, `${SHM}${name}`);
}

/**
 * What a pool names its files, after its prefix and a dot: its table, its segments, its members' doorbells. A generation is
 * negative when somebody has scribbled over the table: what was made under it has to be found all the same.
 */
const POOL_FILE = /^(pool|seg\.\d+\.-?\d+|bell\.\d+)$/;

/** Everything that a pool is made of: those files, and its free queue; of that user. */
export function findPoolObjects(prefix: ObjectName, files: readonly string[], uid: number): Found[] {
  const found = poolFiles(prefix, files).map((file) => findFile(`/${file}` as ObjectName, `${SHM}/${file}`));
  const objects = [...found, findQueue(`${prefix}.free` as ObjectName)].filter((each) => each !== undefined);
  return objects.filter((each) => each.uid === uid || each.isOpaque); // anybody may make a file of such a name
}

/** Those of the files that a pool is made of. */
export function poolFiles(prefix: ObjectName, files: readonly string[]): string[] {
  const start = `${prefix.slice(1)}.`;
  return files.filter((file) => file.startsWith(start) && POOL_FILE.test(file.slice(start.length)));
}

/** Those of the files that belong to a family. */
export function familyFiles(prefix: ObjectName, files: readonly string[]): string[] {
  const start = `${prefix.slice(1)}.`;
  return files.filter((file) => file.startsWith(start) || file.startsWith(`sem.${start}`));
}

/** The names of all files in /dev/shm. Directories, the registry's among them, are left out. */
export function sharedMemoryFiles(): string[] {
  try {
    return readdirSync(SHM, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isFIFO())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** The names of all queues, where the mqueue file system is mounted; elsewhere only the registry knows them. */
export function mountedQueues(): string[] {
  try {
    const mount = readFileSync("/proc/self/mounts", "latin1")
      .split("\n")
      .map((line) => line.split(" "))
      .find((fields) => fields[2] === "mqueue");
    return mount?.[1] === undefined ? [] : readdirSync(mount[1]);
  } catch {
    return [];
  }
}

/** Whether a file in /dev/shm is, by its name, a named semaphore of glibc; its name as sem_open takes it, if so. */
export function semaphoreNameOf(file: string): ObjectName | undefined {
  return file.startsWith("sem.") && file.length > 4 ? (`/${file.slice(4)}` as ObjectName) : undefined;
}

export function findFile(name: ObjectName, path: string): Found | undefined {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined || !(status.isFile() || status.isFIFO())) return undefined;
  const [bytes, bornAtMs] = [status.blocks * 512, status.birthtimeMs || undefined];
  return { name, path, ...propertiesOf(status), isFifo: status.isFIFO(), bytes, isOpaque: false, bornAtMs };
}

export function findQueue(name: ObjectName): Found | undefined {
  const path = cString(name);
  const queue = { name, isFifo: false, path: undefined, bytes: 0, bornAtMs: undefined } as const;
  let fildes = libc().mq_open(path, O_NONBLOCK | O_CLOEXEC, 0, null);
  if (fildes === -1 && errno() === ERRNO.ENOENT) return undefined;
  if (fildes === -1) fildes = libc().mq_open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0, null);
  if (fildes === -1) return { ...queue, identity: "", uid: -1, isOpaque: true };
  try {
    return { ...queue, ...propertiesOf(fstatSync(fildes)), isOpaque: false };
  } finally {
    libc().mq_close(fildes);
  }
}

function propertiesOf(status: Stats): { identity: Identity; uid: number } {
  return { identity: identityOf(status), uid: status.uid };
}
