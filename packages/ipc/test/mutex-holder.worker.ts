import { parentPort } from "node:worker_threads";
import { Mutex, type ObjectName, SharedMemory } from "../src/index.ts";

/** Locks the mutex at offset 0 of the memory whose name it is sent, and keeps it. */
parentPort?.on("message", (name: ObjectName) => {
  parentPort?.postMessage(Mutex.at(SharedMemory.open(name), 0).tryLock());
});
