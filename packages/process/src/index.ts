export { everyBeat, type Heartbeat, startHeartbeat } from "./heartbeat.ts";
export { ChannelInUseError, Life } from "./life.ts";
export { isAlive, isSurelyAlive } from "./liveness.ts";
export { OwnSilence, type SilenceParts } from "./own-silence.ts";
export { isStalled, StalledThreads } from "./stalled-threads.ts";
export { type ThreadFacts, threadFacts } from "./thread-facts.ts";
export {
  type FromThread,
  LoadedThreads,
  type RunningThread,
  runThread,
  Thread,
  ThreadError,
  type ToThread,
  threadEntry,
} from "./thread-host.ts";
