/**
 * Watches the heartbeats of a webproxy as its supervisor does, and remembers the longest silence of each thread.
 *
 *   silence-watcher.ts CHANNEL
 *
 * To each message it answers with what it has seen since the last one.
 */
import { objectName, SharedMemoryCopy } from "@proj/ipc";
import { OwnSilence, threadFacts } from "@proj/process";
import { channelNames, HEARTBEAT_MS, readControlBlock, SilenceWatch, threadIdWord } from "@proj/protocol";

/** By side and thread: the longest silence, and how much of the longest was the thread's own. */
export type SilenceReport = Record<string, { ms: number; ownMs: number }>;

const names = channelNames(process.argv[2]!);
const watched = (["proxy", "cache"] as const).map((side) => {
  const memory = SharedMemoryCopy.open(objectName(names.controlBlock(side)));
  const block = memory && readControlBlock(memory.buffer);
  if (memory === undefined || typeof block !== "object") throw new Error(`Cannot watch the ${side}: it does not run`);
  const own = new OwnSilence(threadFacts(block.pid));
  return { side, memory, pid: block.pid, threads: block.threads, watch: new SilenceWatch(block.threads), own };
});
let report: SilenceReport = {};

setInterval(() => {
  for (const { side, memory, pid, threads, watch, own } of watched) {
    memory.refresh();
    watch.look(memory.i32, performance.now());
    for (let index = -1; index < threads; index++) {
      const thread = index < 0 ? "main" : index;
      const ms = watch.silentMs(thread);
      const ownMs = own.parts(thread, index < 0 ? pid : memory.i32[threadIdWord(index)]!, ms)?.ownMs ?? 0;
      const seen = report[`${side} ${thread}`] ?? { ms: 0, ownMs: 0 };
      report[`${side} ${thread}`] = { ms: Math.max(seen.ms, ms), ownMs: Math.max(seen.ownMs, ownMs) };
    }
  }
}, HEARTBEAT_MS);
process.on("message", () => {
  process.send!(report);
  report = {};
});
process.on("disconnect", () => process.exit(0));
process.send!({});
