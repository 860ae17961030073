export { Doorbell, type DoorbellChannel, type DoorbellFlag, type DoorbellOptions, DoorbellRinger } from "./doorbell.ts";
export { SystemCallError } from "./errno.ts";
export type { WaitOptions, Waker } from "./eventually.ts";
export { ExclusiveLock } from "./exclusive-lock.ts";
export { MessageQueue, type QueueAttributes } from "./message-queue.ts";
export { type LockOutcome, MUTEX_BYTES, Mutex } from "./mutex.ts";
export { InvalidNameError, type ObjectName, objectName } from "./object-name.ts";
export { SEMAPHORE_BYTES, Semaphore } from "./semaphore.ts";
export { SharedMemory } from "./shared-memory.ts";
