export { type Heartbeat, startHeartbeat } from "./heartbeat.ts";
export { ChannelInUseError, Life } from "./life.ts";
export { isAlive } from "./liveness.ts";
export { LOOK_AFTER_MS, OwnSilence } from "./own-silence.ts";
export {
  type FromThread,
  type RunningThread,
  runThread,
  Thread,
  ThreadError,
  type ToThread,
  threadEntry,
} from "./thread-host.ts";
