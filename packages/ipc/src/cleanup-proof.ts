import { fstatSync } from "node:fs";
import { identityOf } from "./cleanup-holders.ts";
import type { Found } from "./cleanup-objects.ts";
import { ERRNO } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";

/** Whether anybody has an object open or mapped, as the kernel says. `unknown`: this user may not ask, or can not. */
export type Proof = "unheld" | "held" | "unknown";

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
const O_CLOEXEC = 0o2000000;
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_WRLCK = 1;
/** What the kernel sends when somebody wants to open what we have a lease on; its default action is nothing. SIGIO's is to end the process. */
const SIGURG = 23;

const byteScratch = new Uint8Array(new ArrayBuffer(1));

/**
 * Asks the kernel whether nobody else has this object open or mapped, wherever they are: another user, another
 * container, a process that /proc hides. It grants a write lease only on a file that has no other open file, and a
 * mapping keeps its file open. The lease is given back at once; somebody who opens the object meanwhile waits for some
 * microseconds.
 *
 * @param path Where the object is now; undefined for a queue, which has only its name.
 * @param whileProven Called while the lease is still held, when the proof is `unheld`.
 * @see https://man7.org/linux/man-pages/man2/F_GETLEASE.2const.html
 */
export function prove(found: Found, path: string | undefined = found.path, whileProven?: () => void): Proof {
  if (path !== undefined && found.isFifo) return proveFifo(found, path, whileProven);
  const fildes = path === undefined ? openQueue(found) : open(path, O_RDWR);
  // O_NONBLOCK: EAGAIN means that somebody else, another cleaner perhaps, has the lease just now.
  if (fildes === -1) return errno() === ERRNO.EAGAIN ? "held" : "unknown";
  try {
    if (identityOf(fstatSync(fildes)) !== found.identity) return "unknown";
    libc().fcntl(fildes, F_SETSIG, SIGURG);
    if (libc().fcntl(fildes, F_SETLEASE, F_WRLCK) === -1) return errno() === ERRNO.EAGAIN ? "held" : "unknown";
    whileProven?.();
    return "unheld";
  } finally {
    libc().close(fildes);
  }
}

/** Leases are for files; but a FIFO tells its two sides by itself whether there is somebody at the other one. */
function proveFifo(found: Found, path: string, whileProven: (() => void) | undefined): Proof {
  const writing = open(path, O_WRONLY);
  if (writing !== -1) {
    libc().close(writing);
    return "held"; // somebody reads, or this would have been ENXIO
  }
  if (errno() !== ERRNO.ENXIO) return "unknown";
  const reading = open(path, O_RDONLY);
  if (reading === -1) return "unknown";
  try {
    if (identityOf(fstatSync(reading)) !== found.identity) return "unknown";
    if (libc().read(reading, byteScratch, 1) !== 0) return "held"; // EAGAIN, or a byte: somebody has it open to write
    whileProven?.();
    return "unheld";
  } finally {
    libc().close(reading);
  }
}

function open(path: string, access: number): number {
  return libc().open(cString(path), access | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0);
}

function openQueue(found: Found): number {
  return libc().mq_open(cString(found.name), O_RDWR | O_NONBLOCK | O_CLOEXEC, 0, null);
}
