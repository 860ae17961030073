import { roleArguments } from "./child-message.ts";
import { ChildProcess } from "./child-process.ts";

/**
 * Starts a spare process for the cache before the command line is read, where that looks like one of `start`: its code is loaded while this process finds out what it is to do, which
 * is half of a start otherwise. It makes nothing before it is told its settings; whoever has no use for it after all kills it. (A proxy inherits sockets, which have to be there first.)
 *
 * @returns undefined: the command line is another one's, or the system has no room; then the cache is started when its turn comes, and that says what is wrong.
 */
export function startCacheAhead(args: readonly string[]): ChildProcess | undefined {
  if (!looksLikeStart(args)) return undefined;
  try {
    const role = roleArguments({ side: "cache", isSpare: true });
    // What follows the role is only for people to see, as in the command line of a cache that was started in its turn.
    return new ChildProcess([process.execPath, Bun.main, ...role, "cache", ...withoutShared(args)]);
  } catch {
    return undefined;
  }
}

/** Whether that looks like the command line of `start`. */
export function looksLikeStart(args: readonly string[]): boolean {
  const [first = "start"] = args;
  return (first === "start" || first.startsWith("-")) && !args.includes("--help") && !args.includes("--version");
}

/** Every user can read arguments, and the shared tier's URL may hold a password. */
function withoutShared(args: readonly string[]): string[] {
  return args.filter((arg, index) => !/^--shared(=|$)/.test(arg) && args[index - 1] !== "--shared");
}
