#!/usr/bin/env bun
import { SUPERVISED } from "./child-message.ts";
import { listenForStop } from "./stop-request.ts";

// Before anything else is loaded, let alone made: from here on Ctrl-C ends in an orderly stop.
const stop = listenForStop();
process.exit(await run(process.argv.slice(2)));

/** A supervisor says all that its children need to know: they have no command line to read, and clients may be waiting for them. */
async function run(args: readonly string[]): Promise<number> {
  const [side, mark] = args;
  if (mark === SUPERVISED && (side === "proxy" || side === "cache")) {
    return (await import("./run-supervised.ts")).runSupervised(side, stop);
  }
  return (await import("./command-line.ts")).runCommandLine(args, stop);
}
