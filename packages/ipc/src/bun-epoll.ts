import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const DESCRIPTORS = "/proc/self/fd";

/**
 * The epoll instance in which the calling thread's own event loop, Bun's, waits: an epoll instance can itself be waited for, and is readable while that loop has something to do.
 * Bun does not tell it, so it is the one among this process's that watches a socket which this thread's loop has just been given. Takes a millisecond.
 *
 * @returns Its descriptor, which is Bun's; undefined when it can not be told (no /proc, no descriptor left).
 * @see epoll(7), and proc_pid_fdinfo(5) for `tfd`
 */
export function bunEpoll(): number | undefined {
  try {
    const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    try {
      const { fd } = probe as typeof probe & { fd: number };
      return readdirSync(DESCRIPTORS)
        .map(Number)
        .find((fildes) => watches(fildes, fd));
    } finally {
      probe.stop(true);
    }
  } catch {
    return undefined;
  }
}

function watches(epoll: number, fildes: number): boolean {
  try {
    if (readlinkSync(`${DESCRIPTORS}/${epoll}`) !== "anon_inode:[eventpoll]") return false;
    return new RegExp(`^tfd: *${fildes} `, "m").test(readFileSync(`/proc/self/fdinfo/${epoll}`, "latin1"));
  } catch {
    return false; // closed by another thread since it was listed
  }
}
