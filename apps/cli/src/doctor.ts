import { availableParallelism } from "node:os";
import { type IpcObject, type Limits, limits } from "@proj/ipc";
import packageJson from "../package.json" with { type: "json" };
import { channelOf, ownObjects, removeLeftOvers } from "./left-overs.ts";
import { parseOptions } from "./options.ts";
import { approximateSize } from "./size.ts";

/** Each thread of each side has one queue of this shape, and the pool has one. */
const QUEUE = { maxmsg: 10, msgsize: 512 } as const;

/**
 * Prints the kernel's limits, the state of every object of ours that belongs to this user, and what a person should look at.
 * With `fix`, removes first what is provably dead.
 *
 * @param options.channel Look at this channel alone; undefined: at all.
 * @returns The exit code: 0, or 1 when there is something to look at.
 */
export async function runDoctor({ channel, fix }: { channel: string | undefined; fix: boolean }): Promise<number> {
  const found = ownObjects(channel).filter(isOfThisUser);
  const objects = fix ? afterRemoval(found, channel) : found;
  const removed = found.filter(({ name }) => !objects.some((object) => object.name === name));
  const allowed = limits();
  const problems = [...limitProblems(allowed), ...objectProblems(objects)];
  const lines = [
    `webproxy ${packageJson.version}, Bun ${Bun.version}, user ${process.geteuid?.()}`,
    ...limitLines(allowed),
    ...grouped(removed).map((group) => `removed         ${group}`),
    ...grouped(objects.filter(({ state }) => state === "alive")).map((group) => `alive           ${group}`),
    ...problems.map((problem) => `problem         ${problem}`),
    ...(problems.length === 0 ? ["no problem found"] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return problems.length === 0 ? 0 : 1;
}

/** What is there once the dead are removed, on the channels where there are any. */
function afterRemoval(found: readonly IpcObject[], channel: string | undefined): IpcObject[] {
  const dead = found.filter(({ state }) => state === "dead" || state === "gone");
  for (const each of new Set(dead.map(channelOf))) removeLeftOvers(each);
  return ownObjects(channel).filter(isOfThisUser);
}

/** Of another user's objects nothing can be told, and nothing is to be done. */
function isOfThisUser({ uid }: IpcObject): boolean {
  return process.geteuid?.() === 0 || uid === undefined || uid === process.geteuid?.();
}

function limitLines({ messageQueues, sharedMemory, openFiles }: Limits): string[] {
  const { msgMax, msgsizeMax, queuesMax, bytesSoft } = messageQueues;
  const memory =
    sharedMemory === undefined
      ? "there is no /dev/shm"
      : `${approximateSize(sharedMemory.freeBytes)} of ${approximateSize(sharedMemory.totalBytes)} free in ${sharedMemory.path}`;
  return [
    `message queues  msg_max ${shown(msgMax)}, msgsize_max ${shown(msgsizeMax)}, queues_max ${shown(queuesMax)}, RLIMIT_MSGQUEUE ${shown(bytesSoft)} bytes`,
    `shared memory   ${memory}`,
    `open files      at most ${shown(openFiles.soft)}`,
  ];
}

/** What stands in the way of a start with the default options. */
function limitProblems({ messageQueues, sharedMemory }: Limits): string[] {
  const { segments, segmentSize, threads } = parseOptions({ flags: {} });
  const problems: string[] = [];
  const poolBytes = segments * segmentSize;
  if (sharedMemory === undefined || sharedMemory.freeBytes < poolBytes) {
    problems.push(
      `the default pool takes ${approximateSize(poolBytes)} of /dev/shm, and that is not free; enlarge it (as root: mount -o remount,size=SIZE /dev/shm; in docker: --shm-size=SIZE) or give fewer --segments`,
    );
  }
  if ((messageQueues.msgMax ?? 0) < QUEUE.maxmsg || (messageQueues.msgsizeMax ?? 0) < QUEUE.msgsize) {
    problems.push(
      `queues of ${QUEUE.maxmsg} messages of ${QUEUE.msgsize} bytes are not allowed; as root: sysctl fs.mqueue.msg_max=10 fs.mqueue.msgsize_max=8192`,
    );
  }
  const wanted = 2 * threads + 1;
  const shape = messageQueues.allowed.find(
    ({ maxmsg, msgsize }) => maxmsg === QUEUE.maxmsg && msgsize === QUEUE.msgsize,
  );
  if (shape !== undefined && shape.queues < wanted) {
    problems.push(
      `${availableParallelism()} threads take ${wanted} message queues, and RLIMIT_MSGQUEUE allows this user ${shape.queues}; raise it (ulimit -q, LimitMSGQUEUE= in systemd) or give fewer --threads`,
    );
  }
  return problems;
}

function objectProblems(objects: readonly IpcObject[]): string[] {
  const advice = {
    dead: "left by a crash; webproxy doctor --fix removes it, and so does the next start on the channel",
    held: "left by a crash, and another process still has it open",
    unknown: "nobody can tell whether it is in use; remove it by hand when no webproxy of the channel runs",
  } as const;
  return (["dead", "held", "unknown"] as const).flatMap((state) =>
    grouped(objects.filter((object) => object.state === state)).map((group) => `${group}: ${advice[state]}`),
  );
}

/** One line for each channel: 70 names of one pool say no more than their number. */
function grouped(objects: readonly IpcObject[]): string[] {
  const channels = Map.groupBy(objects, channelOf);
  return [...channels].map(([channel, group]) => {
    const count = group.reduce((sum, object) => sum + object.count, 0);
    const bytes = group.reduce((sum, object) => sum + object.bytes, 0);
    return `channel ${channel}: ${count} objects, ${approximateSize(bytes)}`;
  });
}

function shown(limit: number | undefined): string {
  if (limit === undefined) return "unknown";
  return limit === Number.POSITIVE_INFINITY ? "unlimited" : String(limit);
}
