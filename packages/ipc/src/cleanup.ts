import { linkSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { findHolders, type Identity, identityOf } from "./cleanup-holders.ts";
import {
  type Found,
  findFile,
  findObject,
  findPoolObjects,
  findQueue,
  mountedQueues,
  semaphoreNameOf,
  sharedMemoryFiles,
} from "./cleanup-objects.ts";
import { type Proof, prove } from "./cleanup-proof.ts";
import { cString, libc } from "./libc.ts";
import { type Limits, limits } from "./limits.ts";
import type { ObjectName } from "./object-name.ts";
import {
  forgetGone,
  type ObjectKind,
  type RegistryEntry,
  readRegistry,
  registries,
  registryDirectory,
  registryFault,
  removeEntry,
} from "./registry.ts";
import { formatMaker, makerState, parseMaker, thisProcess } from "./registry-maker.ts";
import { REMOVING_PREFIX } from "./registry-settle.ts";

/**
 * What is known of an object.
 *
 * `alive`: a process that made it lives. `held`: its makers are dead, but somebody maps it or has it open. `dead`:
 * its makers are dead and nobody holds it: only this is ever removed. `gone`: its makers are dead and it does not exist
 * any more, only its registry entry does. `unknown`: none of these can be shown; `reason` says why.
 */
export type ObjectState = "alive" | "held" | "dead" | "gone" | "unknown";

/** One object, or one pool with all that belongs to it. */
export interface IpcObject {
  readonly kind: ObjectKind;
  readonly name: ObjectName;
  readonly state: ObjectState;
  /** Why it is in that state, for people. */
  readonly reason: string;
  /** Those who are known to have made it, the latest last. */
  readonly makers: readonly { readonly pid: number; readonly program: string; readonly madeAtMs: number }[];
  /** Processes that map it or have it open, as far as this user may see. Only looked for when its makers are dead. */
  readonly holders: readonly number[];
  /** How many kernel objects it is made of: 1, for a pool many. */
  readonly count: number;
  /** Bytes of /dev/shm that it takes. */
  readonly bytes: number;
  readonly uid: number | undefined;
}

export interface CleanOptions {
  /** Only objects whose names begin with this text, such as `/my-app.`. */
  readonly prefix?: string;
  /** Say what would be removed, and remove nothing. */
  readonly dryRun?: boolean;
}

export interface CleanReport {
  /** What was removed; with `dryRun`, what would be. */
  readonly removed: readonly IpcObject[];
  /** What was left although no living process is known to have made it, each with its reason. */
  readonly kept: readonly IpcObject[];
  readonly dryRun: boolean;
}

export interface Diagnosis {
  readonly objects: readonly IpcObject[];
  readonly limits: Limits;
  /** What a person should look at, a sentence each; empty when all is well. */
  readonly problems: readonly string[];
}

interface Surveyed {
  readonly object: IpcObject;
  readonly entries: readonly RegistryEntry[];
  readonly found: readonly Found[];
}

const SHM = "/dev/shm";
/** The file system's clock is coarse: an object may look this much older than the entry that was made before it. */
const CLOCK_GRAIN_MS = 20;

/**
 * Every POSIX IPC object of this user that can be found: those in the registry, the files of /dev/shm, and the queues
 * where the mqueue file system is mounted. Blocks for some milliseconds while it reads /proc.
 *
 * @param options.prefix Only objects whose names begin with this text.
 * @example
 * for (const { kind, name, state } of list({ prefix: "/my-app." })) console.log(kind, name, state);
 */
export function list(options: { prefix?: string } = {}): IpcObject[] {
  return survey(options.prefix ?? "").map(({ object }) => object);
}

/**
 * What is there, what the kernel allows, and what is wrong: left-overs of dead processes, what can not be judged,
 * limits that are nearly reached, a registry that can not be used. Changes nothing.
 *
 * @example
 * for (const problem of doctor().problems) console.error(problem);
 */
export function doctor(options: { prefix?: string } = {}): Diagnosis {
  const objects = list(options);
  const allowed = limits();
  return { objects, limits: allowed, problems: [...objectProblems(objects), ...limitProblems(allowed)] };
}

/**
 * Removes what is provably dead, and nothing else: every process that made the object is dead (by pid, start time and
 * boot), and nobody has it open or mapped (the kernel grants a lease on it, or, for a FIFO, says that there is nobody at
 * its ends). Objects that the registry does not know are kept. A pool is one thing: who holds one segment keeps all.
 *
 * The proof is made again after the object has lost its name, so that nobody can have come meanwhile; if somebody has,
 * it gets its name back. A queue can not be renamed: it is unlinked while the lease says that nobody has it.
 *
 * @returns What was removed and what was kept, and why. Safe to call at any time, by several processes at once.
 * @example
 * const { removed } = clean({ prefix: "/my-app." });
 */
export function clean(options: CleanOptions = {}): CleanReport {
  const dryRun = options.dryRun ?? false;
  const prefix = options.prefix ?? "";
  if (!dryRun) restoreInterruptedRemovals();
  const surveyed = survey(prefix);
  const dead = surveyed.filter(({ object }) => object.state === "dead");
  const removed = dryRun ? dead : dead.filter(remove);
  if (!dryRun) forgetGone();
  const isRemoved = new Set(removed.map(({ object }) => object));
  const kept = surveyed
    .map(({ object }) => object)
    .filter((object) => object.state !== "alive" && object.state !== "gone" && !isRemoved.has(object));
  return { removed: [...isRemoved], kept, dryRun };
}

function survey(prefix: string): Surveyed[] {
  libc(); // says that this is for Linux only, where an empty list would say that all is well
  const groups = groupsOf(prefix).map((group) => ({
    ...group,
    proof: makersAreDead(group.entries) ? proofOf(group.found) : undefined,
  }));
  const held = groups.filter(({ proof }) => proof === "held").flatMap(({ found }) => found);
  const pidsOf = findHolders(new Set(held.map(({ identity }) => identity)));
  return groups.map((group) => ({ ...group, object: judge(group, group.proof, pidsOf) }));
}

/** Of all objects of a group together: one that is held keeps the rest. */
function proofOf(found: readonly Found[]): Proof {
  const proofs = found.map((each) => prove(each));
  return proofs.find((proof) => proof === "held") ?? proofs.find((proof) => proof === "unknown") ?? "unheld";
}

type Group = Omit<Surveyed, "object"> & { readonly kind: ObjectKind; readonly name: ObjectName };

/** Objects with what the registry says of them: those with an entry of their own, those of a family, and the rest. */
function groupsOf(prefix: string): Group[] {
  const files = sharedMemoryFiles();
  const registered = readRegistry();
  const groups: Group[] = [];
  const known = new Set<string>();
  for (const entries of byObject(registered.filter(({ kind, name }) => kind !== "family" && name.startsWith(prefix)))) {
    const { kind, name, uid } = entries[0]!;
    const found =
      kind === "pool" ? findPoolObjects(name, files, uid) : [findObject(kind as "memory", name)].filter(isThere);
    for (const each of found) known.add(each.path ?? `queue ${each.name}`);
    const makers = entries.filter((entry) => found.every((each) => mayHaveMade(entry, each)));
    groups.push({ kind, name, entries: makers, found });
  }
  const families = registered.filter(({ kind }) => kind === "family");
  return [...groups, ...others(prefix, files, known, families)];
}

function isThere(found: Found | undefined): found is Found {
  return found !== undefined;
}

/** What has no entry of its own: its makers are those of its family, if it has one. */
function others(
  prefix: string,
  files: readonly string[],
  known: ReadonlySet<string>,
  families: readonly RegistryEntry[],
): Group[] {
  const groups: Group[] = [];
  for (const file of files) {
    const semaphore = semaphoreNameOf(file);
    const found = findFile(semaphore ?? (`/${file}` as ObjectName), `${SHM}/${file}`);
    if (found === undefined || known.has(`${SHM}/${file}`) || !found.name.startsWith(prefix) || !concerns(found))
      continue;
    const kind = found.isFifo ? "fifo" : semaphore === undefined ? "memory" : "semaphore";
    const entries = families.filter((family) => found.name.startsWith(`${family.name}.`) && mayHaveMade(family, found));
    groups.push({ kind, name: found.name, entries, found: [found] });
  }
  for (const queue of mountedQueues()) {
    const name = `/${queue}` as ObjectName;
    if (known.has(`queue ${name}`) || !name.startsWith(prefix)) continue;
    const found = findQueue(name);
    if (found !== undefined && concerns(found)) groups.push({ kind: "queue", name, entries: [], found: [found] });
  }
  return groups;
}

/** What a stranger has made is no business of this user's, unless it is root. */
function concerns(found: Found): boolean {
  return process.geteuid?.() === 0 || found.uid === process.geteuid?.();
}

function byObject(entries: readonly RegistryEntry[]): RegistryEntry[][] {
  const groups = Map.groupBy(entries, (entry) => `${entry.uid} ${entry.kind} ${entry.name}`);
  return [...groups.values()].map((group) => group.toSorted((one, other) => one.madeAtMs - other.madeAtMs));
}

/** False for an object older than the entry, or of another user than it: then another program has made it since. */
function mayHaveMade(entry: RegistryEntry, found: Found): boolean {
  if (entry.kind === "pool") return true;
  if (found.uid !== entry.uid) return false;
  if (found.bornAtMs === undefined) return true;
  const entryBornAtMs = lstatSync(entry.path, { throwIfNoEntry: false })?.birthtimeMs || 0;
  return found.bornAtMs + CLOCK_GRAIN_MS >= entryBornAtMs;
}

function makersAreDead(entries: readonly RegistryEntry[]): boolean {
  return entries.length > 0 && entries.every((entry) => makerState(entry.maker) === "dead");
}

function judge(group: Group, proof: Proof | undefined, pidsOf: ReadonlyMap<Identity, number[]>): IpcObject {
  const { kind, name, entries, found } = group;
  const holders = [...new Set(found.flatMap(({ identity }) => pidsOf.get(identity) ?? []))].toSorted(
    (one, other) => one - other,
  );
  return {
    kind,
    name,
    ...verdict(group, proof, holders),
    makers: entries.map(({ maker, program, madeAtMs }) => ({ pid: maker.pid, program, madeAtMs })),
    holders,
    count: found.length,
    bytes: found.reduce((sum, { bytes }) => sum + bytes, 0),
    uid: found[0]?.uid,
  };
}

function verdict(
  { entries, found }: Group,
  proof: Proof | undefined,
  holders: readonly number[],
): { state: ObjectState; reason: string } {
  const states = entries.map((entry) => makerState(entry.maker));
  if (states.includes("alive")) return { state: "alive", reason: "its maker lives" };
  if (states.includes("unknown"))
    return { state: "unknown", reason: "its maker belongs to another pid namespace (a container): run this there" };
  if (found.some((each) => each.isOpaque)) return { state: "unknown", reason: "this user may not open it" };
  if (entries.length === 0)
    return { state: "unknown", reason: "the registry does not know who made it: another program, perhaps" };
  if (found.length === 0) return { state: "gone", reason: "its maker is dead and it does not exist any more" };
  if (proof === "unheld") return { state: "dead", reason: "its maker is dead and nobody holds it" };
  if (proof === "unknown")
    return {
      state: "unknown",
      reason: "its maker is dead, but this user or kernel can not prove that nobody holds it (no lease)",
    };
  const who =
    holders.length === 0
      ? "a process that this user may not look into holds it"
      : `process ${holders.join(", ")} holds it`;
  return { state: "held", reason: `its maker is dead, but ${who}` };
}

/** Takes the files' names away, proves again that nobody holds anything, and removes all, or gives the names back. */
function remove(surveyed: Surveyed): boolean {
  const files = surveyed.found.filter((found) => found.path !== undefined);
  const queues = surveyed.found.filter((found) => found.path === undefined);
  const hidden = files.filter((found) => hide(surveyed, found));
  const isUnheld =
    hidden.every((found) => prove(found, hiddenPath(surveyed, found)) === "unheld") && queues.every(unlinkQueue);
  for (const found of hidden) {
    if (isUnheld) unlinkSync(hiddenPath(surveyed, found));
    else restore(hiddenPath(surveyed, found), found.path!);
  }
  removeEmptyDirectory(hidingDirectory(surveyed));
  // What another cleaner has hidden may get its name back, and then needs its entry: forgetGone() sees to that one. A
  // family's entry stays for the rest of the family.
  if (isUnheld && hidden.length === files.length) {
    for (const entry of surveyed.entries) if (entry.kind !== "family") removeEntry(entry);
  }
  return isUnheld;
}

/** True when the object that was judged is now without its name; false when it has gone, or another has its name. */
function hide(surveyed: Surveyed, found: Found): boolean {
  const target = hiddenPath(surveyed, found);
  try {
    mkdirSync(hidingDirectory(surveyed), { recursive: true, mode: 0o700 });
    renameSync(found.path!, target);
  } catch {
    return false; // unlinked by somebody else in the meantime
  }
  if (identityOf(lstatSync(target)) === found.identity) return true;
  restore(target, found.path!);
  return false;
}

/** Gives an object its name back, unless another one has it by now. */
function restore(hidden: string, path: string): void {
  try {
    linkSync(hidden, path);
  } catch {
    // The name has been made anew: the old object goes on without one, as after an unlink. Or another cleaner, which
    // makes good the same interrupted removal, was faster.
  }
  rmSync(hidden, { force: true });
}

/** True when it is gone. It is unlinked while the lease says that nobody has it. */
function unlinkQueue(found: Found): boolean {
  const proof = prove(found, undefined, () => libc().mq_unlink(cString(found.name)));
  return proof === "unheld" || findQueue(found.name)?.identity !== found.identity;
}

/** A directory of this process inside the registry of the object's owner: the same file system, and nobody else's. */
function hidingDirectory(surveyed: Surveyed): string {
  return `${registryDirectory(surveyed.entries[0]!.uid)}/${REMOVING_PREFIX}${formatMaker(thisProcess())}`;
}

function hiddenPath(surveyed: Surveyed, found: Found): string {
  return `${hidingDirectory(surveyed)}/${found.path!.slice(SHM.length + 1)}`;
}

/** A cleaner that was killed may have hidden objects: they get their names back, to be judged like all others. */
function restoreInterruptedRemovals(): void {
  for (const { path } of registries()) {
    for (const name of namesIn(path)) {
      const maker = name.startsWith(REMOVING_PREFIX) ? parseMaker(name.slice(REMOVING_PREFIX.length)) : undefined;
      if (maker === undefined || makerState(maker) !== "dead") continue;
      for (const file of namesIn(`${path}/${name}`)) restore(`${path}/${name}/${file}`, `${SHM}/${file}`);
      removeEmptyDirectory(`${path}/${name}`);
    }
  }
}

/** Empty when another process has removed the directory meanwhile. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function removeEmptyDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not empty, or gone already.
  }
}

function objectProblems(objects: readonly IpcObject[]): string[] {
  const problems = objects
    // What the registry has never heard of is another program's and may well be in order.
    .filter(({ state, makers }) => state === "dead" || (state === "unknown" && makers.length > 0))
    .map(
      ({ kind, name, state, reason, bytes }) =>
        `${kind} ${name} is ${state === "dead" ? "left over" : "of unknown state"}, ${bytes} bytes: ${reason}`,
    );
  const fault = registryFault();
  return fault === undefined
    ? problems
    : [...problems, `the registry can not be used, so that makers are not known: ${fault}`];
}

function limitProblems({ messageQueues, openFiles, sharedMemory, mappings }: Limits): string[] {
  const problems: string[] = [];
  if (messageQueues.queuesMax === undefined)
    problems.push("this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE)");
  if (sharedMemory === undefined) problems.push("/dev/shm can not be read: mount a tmpfs there");
  else if (sharedMemory.freeBytes < sharedMemory.totalBytes / 10) {
    problems.push(`/dev/shm is nearly full: ${sharedMemory.freeBytes} of ${sharedMemory.totalBytes} bytes are free`);
  }
  if (sharedMemory !== undefined && sharedMemory.freeFiles < sharedMemory.totalFiles / 10) {
    const { freeFiles, totalFiles } = sharedMemory;
    problems.push(`/dev/shm has nearly no files left (nr_inodes): ${freeFiles} of ${totalFiles} are free`);
  }
  if (openFiles.soft !== undefined && openFiles.soft < 1024)
    problems.push(`RLIMIT_NOFILE is only ${openFiles.soft}: ulimit -n 1024`);
  if (mappings.max !== undefined && mappings.mapped > mappings.max * 0.9) {
    problems.push(`this process has ${mappings.mapped} of ${mappings.max} mappings (vm.max_map_count)`);
  }
  return problems;
}
