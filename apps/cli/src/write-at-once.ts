import { writeSync } from "node:fs";

const STANDARD_OUTPUT = 1;
const TRIES_MAX = 100;

/** Writes text to a descriptor, before this returns. A reader that has gone, or a disk that is full, is no reason to stop. */
export function writeAtOnce(fildes: number, text: string): void {
  const bytes = Buffer.from(text);
  let done = 0;
  for (let tries = 0; done < bytes.length && tries < TRIES_MAX; tries++) {
    try {
      done += writeSync(fildes, bytes, done);
    } catch (error) {
      // A terminal or pipe that somebody made non-blocking and that is full: it is read again in a moment, or the line is lost.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) return;
      Bun.sleepSync(1);
    }
  }
}

/** A line on standard output. (`process.stdout` takes 17 ms to be made, for which whoever waits for the ready line would wait.) */
export function printLine(line: string): void {
  writeAtOnce(STANDARD_OUTPUT, `${line}\n`);
}
