export {
  type CleanOptions,
  type CleanReport,
  clean,
  type Diagnosis,
  doctor,
  type IpcObject,
  list,
  type ObjectState,
} from "./cleanup.ts";
export { Doorbell, type DoorbellChannel, type DoorbellFlag, type DoorbellOptions, DoorbellRinger } from "./doorbell.ts";
export { SystemCallError } from "./errno.ts";
export { EventLoop, type Watcher } from "./event-loop.ts";
export type { WaitOptions, Waker } from "./eventually.ts";
export { ExclusiveLock } from "./exclusive-lock.ts";
export { loadLibrary } from "./libc.ts";
export { type Asked, hasSharedMemoryFor, type Limits, limitAdvice, limits, queueBytes } from "./limits.ts";
export { MessageQueue, type QueueAttributes } from "./message-queue.ts";
export { type LockOutcome, MUTEX_BYTES, Mutex } from "./mutex.ts";
export { InvalidNameError, type ObjectName, objectName } from "./object-name.ts";
export { openAtHand } from "./open-at-hand.ts";
export { replaceArgument } from "./own-arguments.ts";
export type { PoolMember } from "./pool-member.ts";
export type { PoolPicture, SegmentState } from "./pool-table.ts";
export { PrivateMemory } from "./private-memory.ts";
export { leadProcessGroup } from "./process-group.ts";
export { readAtHand } from "./read-at-hand.ts";
export { type ObjectKind, registerFamily, unregisterFamily } from "./registry.ts";
export { startTimeOf } from "./registry-maker.ts";
export { Ring } from "./ring.ts";
export type { RingWait, RingWaitAsync } from "./ring-end.ts";
export { RingError, type RingErrorCode } from "./ring-error.ts";
export type { RingReader } from "./ring-reader.ts";
export type { RingWriter } from "./ring-writer.ts";
export { isStopped, ownThreadId, requestSlice, type ThreadTimes, threadTimes, waitedOfAllMs } from "./scheduling.ts";
export { SEGMENT_PREFIX_BYTES, type Segment } from "./segment.ts";
export { SegmentPool, type SegmentPoolCounters } from "./segment-pool.ts";
export { SegmentPoolError, type SegmentPoolErrorCode } from "./segment-pool-error.ts";
export { SEMAPHORE_BYTES, Semaphore } from "./semaphore.ts";
export { SharedMemory } from "./shared-memory.ts";
export { SharedMemoryCopy } from "./shared-memory-copy.ts";
export { endListening, keepListening, sameSocket } from "./sockets/listening-socket.ts";
export { PrefixViews } from "./sockets/prefix-views.ts";
export { endSteering, steerConnections } from "./sockets/reuse-port.ts";
export { limitSendBuffer } from "./sockets/send-buffer.ts";
export { closeParted } from "./sockets/socket-calls.ts";
export { type AcceptedHandler, StreamListener } from "./sockets/stream-listener.ts";
export { type StreamHandler, StreamSocket } from "./sockets/stream-socket.ts";
export { isWritable } from "./writable.ts";
