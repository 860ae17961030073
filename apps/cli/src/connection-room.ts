import { limits } from "@proj/ipc";
import { cannotRun } from "./command-error.ts";

/** Files that a proxy or a cache has open when nobody is connected (measured: 12, and 11 for each thread), with some to spare. */
const OWN_FILES = 16;
const OWN_FILES_OF_THREAD = 12;
/** What is left for connections to origins, stored bodies that are open, and loans, which may have half of that (proxy-thread.ts). */
const PART_FOR_CLIENTS = 3 / 4;

/**
 * How many client connections a thread of the proxy can take: `--max-connections`, or fewer where the open-file limit of the process does not allow them. Without a limit of its own
 * a thread that has no descriptor left would turn in vain for clients whom it can neither accept nor refuse.
 *
 * @param softLimit RLIMIT_NOFILE.
 * @throws {CommandError} Exit code 1: it allows not even one.
 */
export function connectionRoom(
  { threads, maxConnections }: { threads: number; maxConnections: number },
  softLimit = limits().openFiles.soft ?? Number.POSITIVE_INFINITY,
): number {
  const own = OWN_FILES + threads * OWN_FILES_OF_THREAD;
  const room = Math.floor(((softLimit - own) * PART_FOR_CLIENTS) / threads);
  if (room >= 1) return Math.min(room, maxConnections);
  throw cannotRun(
    `Cannot start with ${threads} threads: a process of so many opens ${own} files before the first client comes, and RLIMIT_NOFILE allows it ${softLimit}; raise it (ulimit -n 65536; LimitNOFILE= in systemd; --ulimit nofile= in docker), or give fewer --threads`,
  );
}

/** As few connections to an origin are asked for in any case: where descriptors are fewer still, what can not be opened says so. */
const ORIGIN_CONNECTIONS_FEW = 128;

/**
 * How many connections a thread may have to one origin: `--origin-connections`, or fewer where what clients leave of the open-file limit does not allow them.
 *
 * @param softLimit RLIMIT_NOFILE; undefined: none.
 */
export function originRoom(
  { threads, originConnections }: { threads: number; originConnections: number },
  softLimit = Number.POSITIVE_INFINITY,
): number {
  const room = Math.floor((softLimit * (1 - PART_FOR_CLIENTS)) / threads);
  return Math.min(originConnections, Math.max(ORIGIN_CONNECTIONS_FEW, room));
}
