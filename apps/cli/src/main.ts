#!/usr/bin/env bun
import { listenForStop } from "./stop-request.ts";

// Before anything else is loaded, let alone made: from here on Ctrl-C ends in an orderly stop.
const stop = listenForStop();
const { runCommandLine } = await import("./command-line.ts");
process.exit(await runCommandLine(process.argv.slice(2), stop));
