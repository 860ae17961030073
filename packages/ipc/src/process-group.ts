import { libc } from "./libc.ts";

/**
 * Makes the calling process the leader of a process group of its own: what a terminal sends to its parent's (Ctrl-C, Ctrl-Z), and who kills that group, does not reach it any more. Unlike with setsid(2) it stays in its
 * parent's session, and so with it in what the kernel's scheduler takes for one job (autogroups). Nothing happens where it leads a group, or a session, already.
 *
 * @see setpgid(2), sched(7)
 * @example
 * leadProcessGroup();
 */
export function leadProcessGroup(): void {
  libc().setpgid(0, 0); // all that can fail is that it leads a session
}
