import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { errorCode } from "./command-error.ts";

/** A pipe takes so much as a whole or not at all (PIPE_BUF), so that what several processes write to one does not mix. */
const PIECE_BYTES = 4_096;
/** Of lines that wait for a reader. Those that come when there are as many are lost. */
const KEPT_BYTES_MAX = 256 * 1024;
const RETRY_MS = 50;
/** What is left at the end waits for its reader so many times a millisecond. */
const LAST_TRIES = 100;
const NEWLINE = 0x0a;

/**
 * Writes lines to a descriptor, and never waits for who reads them: where that is a pipe, a terminal or a socket that takes no more, some are kept for later, and those beyond are counted.
 * A file takes them at once. A reader that has gone, or a disk that is full, is no reason to stop.
 */
export class Outlet {
  /** Told, once there is room again, how many lines are missing. */
  onLost: (lines: number) => void = () => {};
  readonly #fildes: number;
  readonly #isFile: boolean;
  /** The same pipe or terminal opened anew, for us not to wait for it: others wait on the descriptor that they share with us. */
  #own: number | undefined;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #lost = 0;
  #retry: Timer | undefined;

  constructor(fildes: number) {
    this.#fildes = fildes;
    this.#isFile = isFile(fildes);
    if (!this.#isFile) this.#own = openAnew(fildes);
  }

  write(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#isFile) return this.#writeToFile(bytes);
    for (const lines of groupsOfLines(bytes)) this.#keep(lines);
    this.#goOn();
  }

  /** What is left is tried for a tenth of a second. The descriptor stays open. */
  close(): void {
    for (let tries = 0; this.#kept.length > 0 && tries < LAST_TRIES; tries++) {
      this.#writeKept();
      if (this.#kept.length > 0) Bun.sleepSync(1);
    }
    if (this.#kept.length === 0) this.#tellOfLost();
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#own !== undefined) closeSync(this.#own);
    this.#own = undefined;
  }

  #writeToFile(bytes: Buffer): void {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fildes, bytes, done);
    } catch {} // a disk that is full
  }

  #keep(lines: Buffer): void {
    if (this.#keptBytes + lines.length > KEPT_BYTES_MAX) {
      this.#lost += countLines(lines);
      return;
    }
    this.#kept.push(lines);
    this.#keptBytes += lines.length;
  }

  #goOn(): void {
    this.#writeKept();
    if (this.#kept.length === 0) return this.#tellOfLost();
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#goOn();
    }, RETRY_MS).unref();
  }

  #tellOfLost(): void {
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.onLost(lost);
  }

  #writeKept(): void {
    let written = 0;
    for (let first = this.#kept[0]; first !== undefined; first = this.#kept[written]) {
      const taken = this.#writePiece(first.subarray(0, PIECE_BYTES));
      if (taken === 0) break;
      this.#keptBytes -= taken;
      if (taken < first.length) this.#kept[written] = first.subarray(taken);
      else written++;
    }
    this.#kept.splice(0, written);
  }

  /** How much of it is over with: 0 where it has to wait. */
  #writePiece(piece: Buffer): number {
    if (this.#own === undefined && !hasRoom(this.#fildes)) return 0;
    try {
      return writeSync(this.#own ?? this.#fildes, piece);
    } catch (error) {
      return errorCode(error) === "EAGAIN" ? 0 : piece.length;
    }
  }
}

function isFile(fildes: number): boolean {
  try {
    return fstatSync(fildes).isFile();
  } catch {
    return true; // it is closed: what is written to it fails
  }
}

/** Undefined for a socket, and where it is another user's. */
function openAnew(fildes: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fildes}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** It is loaded where it is needed: whoever ends in a line on standard error is not to wait for it. */
function hasRoom(fildes: number): boolean {
  const { isWritable }: typeof import("@proj/ipc") = require("@proj/ipc");
  return isWritable(fildes);
}

/** As many whole lines as a piece has room for, or one that is longer. */
function* groupsOfLines(bytes: Buffer): Generator<Buffer> {
  for (let from = 0, end: number; from < bytes.length; from = end) {
    end = from + PIECE_BYTES;
    if (end < bytes.length) end = bytes.lastIndexOf(NEWLINE, end - 1) + 1;
    if (end <= from) end = bytes.indexOf(NEWLINE, from) + 1 || bytes.length;
    yield bytes.subarray(from, end);
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
