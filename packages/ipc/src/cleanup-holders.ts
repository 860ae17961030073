import { readdirSync, readFileSync, statSync } from "node:fs";

/** An inode, as "DEVICE:INODE" with the numbers of stat(2): what an object is, whatever its name. */
export type Identity = string;

/** The identity of what a status describes. */
export function identityOf(status: { dev: number; ino: number }): Identity {
  return `${status.dev}:${status.ino}`;
}

/**
 * The processes, this one among them, that map or have open one of the objects, as far as this user may look: to tell
 * people who it is, not to prove that there is nobody. Reads the maps and descriptors of every process.
 */
export function findHolders(wanted: ReadonlySet<Identity>): Map<Identity, number[]> {
  const pidsOf = new Map<Identity, number[]>();
  if (wanted.size === 0) return pidsOf;
  const devices = new Map([...wanted].map((identity) => deviceKeys(Number(identity.split(":")[0]))));
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    for (const identity of new Set([...mappedBy(pid, devices), ...openIn(pid)])) {
      if (wanted.has(identity)) pidsOf.set(identity, [...(pidsOf.get(identity) ?? []), pid]);
    }
  }
  return pidsOf;
}

/** maps writes a device as MAJOR:MINOR in hexadecimal; stat(2) gives glibc's makedev of the two. */
function deviceKeys(device: number): [string, number] {
  const number = BigInt(device);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn);
  return [`${major.toString(16).padStart(2, "0")}:${minor.toString(16).padStart(2, "0")}`, device];
}

function mappedBy(pid: number, devices: ReadonlyMap<string, number>): Identity[] {
  try {
    return readFileSync(`/proc/${pid}/maps`, "latin1")
      .split("\n")
      .map((line) => line.split(" ", 5)) // address perms offset device inode
      .filter(([, , , device]) => devices.has(device ?? ""))
      .map(([, , , device, inode]) => `${devices.get(device!)}:${inode}`);
  } catch {
    return []; // it has ended, or this user may not look
  }
}

function openIn(pid: number): Identity[] {
  const identities: Identity[] = [];
  try {
    for (const fildes of readdirSync(`/proc/${pid}/fd`)) {
      // stat follows the link to the open file itself, also when it has no name any more.
      const status = statSync(`/proc/${pid}/fd/${fildes}`, { throwIfNoEntry: false });
      if (status !== undefined) identities.push(identityOf(status));
    }
  } catch {
    // It has ended, or this user may not look.
  }
  return identities;
}
