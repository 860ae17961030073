import { clean, doctor } from "@proj/ipc";
import packageJson from "../package.json" with { type: "json" };
import { approximateSize } from "./size.ts";

// Every object of ours, of whatever channel.
const PREFIX = "/webproxy.";

/**
 * Prints the kernel's limits and the state of every object of ours, and removes what is provably dead when asked to.
 *
 * @returns The exit code: 0, or 1 when something is left that a person should look at.
 */
export async function runDoctor({ fix }: { fix: boolean }): Promise<number> {
  const removed = fix ? clean({ prefix: PREFIX }).removed : [];
  const { objects, limits, problems } = doctor({ prefix: PREFIX });
  const { messageQueues, sharedMemory, openFiles, mappings } = limits;
  const lines = [
    `webproxy ${packageJson.version}, Bun ${Bun.version}, uid ${process.geteuid?.()}`,
    `message queues  msg_max ${shown(messageQueues.msgMax)}, msgsize_max ${shown(messageQueues.msgsizeMax)}, queues_max ${shown(messageQueues.queuesMax)}, RLIMIT_MSGQUEUE ${shown(messageQueues.bytesSoft)} bytes`,
    `shared memory   ${sharedMemory === undefined ? "there is no /dev/shm" : `${approximateSize(sharedMemory.freeBytes)} of ${approximateSize(sharedMemory.totalBytes)} free in ${sharedMemory.path}`}`,
    `open files      at most ${shown(openFiles.soft)}      mappings at most ${shown(mappings.max)}`,
    ...removed.map(
      ({ kind, name, count }) => `removed         ${kind} ${name}${count > 1 ? ` (${count} objects)` : ""}`,
    ),
    ...objects.map(({ kind, name, state, reason }) => `${state.padEnd(15)} ${kind} ${name}: ${reason}`),
    ...problems.map((problem) => `problem         ${problem}`),
    problems.length === 0 ? "no problem found" : "webproxy doctor --fix removes what is provably dead",
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return problems.length === 0 ? 0 : 1;
}

function shown(limit: number | undefined): string {
  if (limit === undefined) return "unknown";
  return limit === Number.POSITIVE_INFINITY ? "unlimited" : String(limit);
}
