import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * A process, told from every other one of this machine's past: its pid, when it started (field 22 of /proc/PID/stat, in
 * clock ticks since boot), which boot that was, and the pid namespace in which the pid means anything.
 */
export interface Maker {
  readonly pid: number;
  readonly startTime: number;
  readonly pidNamespace: number;
  readonly bootId: string;
}

/** Whether a maker lives: `unknown` when it lives, or lived, in a pid namespace that we can not look into. */
export type MakerState = "alive" | "dead" | "unknown";

let self: Maker | undefined;

/**
 * This process, as the registry names it. Read once; all threads of a process are the same maker.
 *
 * @throws {Error} Where there is no /proc.
 */
export function thisProcess(): Maker {
  const startTime = startTimeOf(process.pid);
  if (startTime === undefined) throw new Error("Cannot read /proc/self/stat: mount /proc to use the IPC registry");
  self ??= { pid: process.pid, startTime, pidNamespace: ownPidNamespace(), bootId: ownBootId() };
  return self;
}

/** The text that names a maker in the registry: `PID.STARTTIME.PIDNAMESPACE.BOOTID`. */
export function formatMaker(maker: Maker): string {
  return `${maker.pid}.${maker.startTime}.${maker.pidNamespace}.${maker.bootId}`;
}

/** The maker that a text names, or `undefined` when it is no maker's name. */
export function parseMaker(text: string): Maker | undefined {
  const match = /^([1-9]\d{0,9})\.(\d{1,16})\.(\d{1,16})\.([0-9a-f-]{36})$/.exec(text);
  if (match === null) return undefined;
  const [, pid, startTime, pidNamespace, bootId] = match;
  return { pid: Number(pid), startTime: Number(startTime), pidNamespace: Number(pidNamespace), bootId: bootId! };
}

/**
 * Whether a maker lives now. A process of another boot is dead; one whose pid another process has by now (its start
 * time differs) is dead; a zombie whose threads have all ended is dead, since it holds nothing any more.
 */
export function makerState(maker: Maker): MakerState {
  try {
    if (maker.bootId !== ownBootId()) return "dead";
    if (maker.pidNamespace !== ownPidNamespace()) return "unknown";
    return startTimeOf(maker.pid) === maker.startTime ? "alive" : "dead";
  } catch {
    return "unknown"; // no descriptor left to look with, for instance
  }
}

/**
 * When a living process (or thread, by its thread id) started, in clock ticks since boot; `undefined` when there is none.
 *
 * @throws {Error} It can not be told: no descriptor left (EMFILE), no right to look.
 */
export function startTimeOf(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    if (isNoSuchProcess(error)) return undefined;
    throw error;
  }
  // The command, in parentheses, may itself hold spaces and parentheses: fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  if (state === "X" || (state === "Z" && !hasOtherThreads(pid))) return undefined;
  return Number(fields[19]);
}

/** The inode that is the name of this process's pid namespace; 0 where the kernel has none. */
export function ownPidNamespace(): number {
  namespace ??= Number(/\[(\d+)\]/.exec(readlinkOr("/proc/self/ns/pid", "pid:[0]"))?.[1] ?? 0);
  return namespace;
}

let namespace: number | undefined;
let boot: string | undefined;

function ownBootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  return boot;
}

function hasOtherThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch (error) {
    if (isNoSuchProcess(error)) return false;
    throw error;
  }
}

function isNoSuchProcess(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ESRCH";
}

function readlinkOr(path: string, otherwise: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return otherwise;
  }
}
