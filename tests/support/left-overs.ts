import { readdirSync } from "node:fs";
import { MessageQueue, objectName, SystemCallError } from "@proj/ipc";

/** More than any test starts. */
const THREADS = 16;

/** The IPC objects of a channel that exist now: files in /dev/shm, and queues, which show in no directory and are tried by name. */
export function ipcObjectsOf(channel: string): string[] {
  const prefix = `webproxy.${channel}.`;
  const files = readdirSync("/dev/shm").filter((name) => name.includes(prefix));
  const threads = Array.from({ length: THREADS }, (_, thread) => thread);
  const queues = [
    `/${prefix}pool.free`,
    ...threads.flatMap((thread) => [`/${prefix}request.${thread}`, `/${prefix}notice.${thread}`]),
  ];
  return [...files.map((name) => `/dev/shm/${name}`), ...queues.filter(queueExists).map((name) => `mqueue ${name}`)];
}

function queueExists(name: string): boolean {
  try {
    MessageQueue.open(objectName(name)).close();
    return true;
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENOENT") return false;
    if (error instanceof SystemCallError && error.code === "EACCES") return true; // another user's, but there
    throw error;
  }
}
