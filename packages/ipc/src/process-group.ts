import { libc } from "./libc.ts";

/** Numbers of asm/signal.h, and what bits/signum-generic.h calls SIG_IGN. */
const SIGTTOU = 22;
const SIG_IGN = 1;

/**
 * Makes the calling process the leader of a process group of its own: what a terminal sends to its parent's (Ctrl-C, Ctrl-Z), and who kills that group, does not reach it any more. It may go on writing to
 * the terminal, also one that stops who does so in the background (`stty tostop`): SIGTTOU is ignored from here on. Unlike with setsid(2) it stays in its parent's session, and so with it in what the
 * kernel's scheduler takes for one job (autogroups). Where it leads a group, or a session, already, it goes on doing so.
 *
 * @see setpgid(2), sched(7), termios(3)
 * @example
 * leadProcessGroup();
 */
export function leadProcessGroup(): void {
  libc().signal(SIGTTOU, SIG_IGN); // before it is in the background
  libc().setpgid(0, 0); // all that can fail is that it leads a session
}
