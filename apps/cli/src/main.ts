#!/usr/bin/env bun
import { adoptAllocatorSettings } from "./allocator.ts";
import { SPARE, SUPERVISED } from "./child-message.ts";
import { listenForStop } from "./stop-request.ts";

// Before signals are listened for: the program that this one becomes would not hear of one that had come.
if (runsSideAlone(process.argv.slice(2))) adoptAllocatorSettings();
// Before anything else is loaded, let alone made: from here on Ctrl-C ends in an orderly stop.
const stop = listenForStop();
process.exit(await run(process.argv.slice(2)));

function runsSideAlone([command, mark]: readonly string[]): boolean {
  return (command === "proxy" || command === "cache") && mark !== SUPERVISED;
}

/** A supervisor says all that its children need to know: they have no command line to read, and clients may be waiting for them. */
async function run(args: readonly string[]): Promise<number> {
  const [side, mark] = args;
  if (mark === SUPERVISED && (side === "proxy" || side === "cache" || side === SPARE)) {
    return (await import("./run-supervised.ts")).runSupervised(side, stop);
  }
  return (await import("./command-line.ts")).runCommandLine(args, stop);
}
