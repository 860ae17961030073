import { check } from "../check.ts";
import { libc } from "../libc.ts";
import { SHUT } from "./numbers.ts";

const F_DUPFD_CLOEXEC = 1030;
/** As many as the kernel allows: it takes `net.core.somaxconn` where that is less. */
const BACKLOG = 65_535;

/**
 * Another descriptor of a listening socket, which goes on listening when the one given is closed: clients that connect while nobody accepts wait, up to `net.core.somaxconn` of
 * them (4,096 by default), and are not refused. Whoever listens on it later (`Bun.listen({ fd: sameSocket(fildes) })`), in this process or in one that it was handed down to, finds them there.
 *
 * @param fildes A listening socket; it stays the caller's.
 * @returns A descriptor that is the caller's to close. Programs that are started do not inherit it unless it is handed down (`stdio` of `Bun.spawn`).
 * @throws {SystemCallError} `EBADF`: it is no descriptor, or is closed. `EMFILE`: too many are open. `EOPNOTSUPP`, `ENOTSOCK`: it does not listen.
 * @example
 * const opened = Bun.listen({ hostname, port, reusePort: true, socket: {} });
 * const kept = keepListening(opened.fd);
 * opened.stop();
 */
export function keepListening(fildes: number): number {
  const kept = sameSocket(fildes);
  try {
    check("listen", `descriptor ${fildes}`, libc().listen(kept, BACKLOG));
    return kept;
  } catch (error) {
    libc().close(kept);
    throw error;
  }
}

/**
 * Another descriptor of the same socket: it lives until all of them are closed.
 *
 * @param fildes It stays the caller's.
 * @throws {SystemCallError} `EBADF`, `EMFILE`.
 */
export function sameSocket(fildes: number): number {
  return check("fcntl", `descriptor ${fildes}`, libc().fcntl(fildes, F_DUPFD_CLOEXEC, 0));
}

/**
 * Ends the listening of a socket for all who have a descriptor of it, in whichever process, also where they do nothing at the moment: who waits in it to be accepted is reset, who
 * connects later is refused or, where others listen on the port, goes to them. It never listens again. Connections that were accepted go on.
 *
 * @param fildes A listening socket; the descriptor stays open, and the caller's.
 * @throws {SystemCallError} `EBADF`: it is no descriptor, or is closed. `ENOTSOCK`, `ENOTCONN`: it does not listen.
 * @example
 * endListening(kept);
 * closeSync(kept);
 */
export function endListening(fildes: number): void {
  check("shutdown", `descriptor ${fildes}`, libc().shutdown(fildes, SHUT.RDWR));
}
