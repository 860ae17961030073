#!/usr/bin/env bun
import { adoptAllocatorSettings } from "./allocator.ts";
import { looksLikeStart, startCacheAhead } from "./cache-ahead.ts";
import { supervisedRole } from "./child-message.ts";
import { hangupMeans, listenForStop } from "./stop-request.ts";
import { exitCodeOf, listenForUncaught } from "./uncaught.ts";

// Before signals are listened for: the program that this one becomes would not hear of one that had come.
if (runsSideAlone(process.argv.slice(2))) adoptAllocatorSettings();
// Before anything else is loaded, let alone made: from here on Ctrl-C ends in an orderly stop.
const stop = listenForStop();
if (!serves(process.argv.slice(2))) hangupMeans("stop");
listenForUncaught();
process.exit(exitCodeOf(await run(process.argv.slice(2))));

function runsSideAlone(args: readonly string[]): boolean {
  return (args[0] === "proxy" || args[0] === "cache") && supervisedRole(args) === undefined;
}

/** Those who serve may have something to read again, and say so once they know. */
function serves(args: readonly string[]): boolean {
  return supervisedRole(args) !== undefined || runsSideAlone(args) || looksLikeStart(args);
}

/** A supervisor says all that its children need to know: they have no command line to read, and clients may be waiting for them. */
async function run(args: readonly string[]): Promise<number> {
  const role = supervisedRole(args);
  if (role !== undefined) return (await import("./run-supervised.ts")).runSupervised(role, stop);
  const cache = startCacheAhead(args);
  try {
    return await (await import("./command-line.ts")).runCommandLine(args, stop, cache);
  } finally {
    cache?.kill("SIGKILL"); // where nobody had use for it
  }
}
