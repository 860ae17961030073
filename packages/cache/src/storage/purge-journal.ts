import { join } from "node:path";
import type { ShardPurge } from "../purge.ts";
import { checksum } from "./checksum.ts";
import { PARTITIONS, partitionDirectory } from "./entry-name.ts";
import { FILE_SYSTEM, type FileSystem, isMissing } from "./file-system.ts";

/**
 * The purges that may not have reached all that is on the medium, one a line: 16 hexadecimal digits (XXH3 of the rest), a space, JSON. A line is forced to the medium before its
 * purge is answered, so that what a power cut brings back is purged again in the next life. Lines go when what they made go is gone from the medium too.
 */
const FILE = "purges";
const LINE = /^([0-9a-f]{16}) (\{.*\})$/;
const NUMBERS_PER_MS = 1024;
/** So long after a purge has ended its line goes, with those of all others that have ended by then. */
const CHECKPOINT_AFTER_MS = 5_000;
/** A soft purge writes into files that stay. What has been written is on the medium after so long (vm.dirty_expire_centisecs is 30 s, a commit 5 s). */
const SOFT_KEPT_MS = 60_000;

/** A line of the journal: a purge, or only the number of the last one. */
interface Line extends Partial<Pick<ShardPurge, "selectors" | "soft">> {
  readonly number: number;
}

interface Entry {
  readonly purge: ShardPurge;
  /** Monotonic: when all that it concerns had gone; undefined: not yet. */
  endedMs: number | undefined;
}

/**
 * The number of a purge: the time in 1024ths of a millisecond, and so much above the last one that between two there is room for what a shard numbers by itself.
 *
 * @param nowMs Wall clock.
 */
export function nextPurgeNumber(last: number, nowMs: number): number {
  return Math.max(last + NUMBERS_PER_MS, nowMs * NUMBERS_PER_MS);
}

/** What purges a store's next life has to know of. */
export class PurgeJournal {
  readonly #directory: string;
  readonly #files: FileSystem;
  readonly #nowMs: () => number;
  readonly #entries = new Map<number, Entry>();
  #last = 0;
  #fildes: number | undefined;
  #bytes = 0;
  /** Lines that are not in the file yet, and who waits for them. */
  #unwritten: { text: string; durable: PromiseWithResolvers<void> }[] = [];
  #work: Promise<void> | undefined;
  /** A write has failed, so that nobody knows what the file holds: it is made anew. */
  #isDoubtful = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the journal could not be read as it was written: then all that was stored before is purged, since nobody knows what was. */
  readonly isDamaged: boolean;

  /**
   * Reads what a former life has left.
   *
   * @param nowMs Wall clock.
   */
  constructor(directory: string, nowMs: () => number = Date.now, files: FileSystem = FILE_SYSTEM) {
    this.#directory = directory;
    this.#files = files;
    this.#nowMs = nowMs;
    const lines = this.#read();
    this.isDamaged = lines === undefined;
    this.#isDoubtful = true; // an end that was torn off would become the beginning of the next line
    for (const line of lines ?? []) this.#recall(line);
    if (lines === undefined) this.#recall({ number: this.#nextNumber(), selectors: [{ by: "all" }], soft: false });
  }

  /** The number of the last purge. */
  get last(): number {
    return this.#last;
  }

  /** Purges that have to be done again: nobody knows how far they came, or what a power cut has brought back. */
  get pending(): ShardPurge[] {
    return [...this.#entries.values()].filter(({ endedMs }) => endedMs === undefined).map(({ purge }) => purge);
  }

  /**
   * Takes a purge in and numbers it.
   *
   * @returns `durable` resolves when the medium has it, and rejects with what the medium said.
   */
  record({ selectors, soft }: Pick<ShardPurge, "selectors" | "soft">): { number: number; durable: Promise<void> } {
    const number = this.#nextNumber();
    this.#recall({ number, selectors, soft });
    const durable = Promise.withResolvers<void>();
    this.#unwritten.push({ text: render({ number, selectors, soft }), durable });
    this.#work ??= this.#write();
    return { number, durable: durable.promise };
  }

  /** All that a purge concerns has gone, from every shard. */
  ended(number: number): void {
    const entry = this.#entries.get(number);
    if (entry !== undefined) entry.endedMs = this.#nowMs();
    this.#checkpointLater();
  }

  #checkpointLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.checkpoint();
    }, CHECKPOINT_AFTER_MS);
    this.#timer.unref();
  }

  /** Forces what has been removed to the medium, and forgets the purges that it was removed by. */
  async checkpoint(): Promise<void> {
    const dueMs = this.#nowMs() - SOFT_KEPT_MS;
    const over = [...this.#entries.values()].filter(
      ({ endedMs, purge }) => endedMs !== undefined && (!purge.soft || endedMs <= dueMs),
    );
    try {
      if (over.length > 0) {
        for (let partition = 0; partition < PARTITIONS; partition++)
          await this.#files.syncDirectory(partitionDirectory(this.#directory, partition));
        for (const { purge } of over) this.#entries.delete(purge.number);
        this.#isDoubtful = true;
        this.#work ??= this.#write();
        await this.#work;
      }
    } catch {
      // The medium refuses: the lines stay, and their purges are done again in the next life.
    }
    if ([...this.#entries.values()].some(({ endedMs }) => endedMs !== undefined)) this.#checkpointLater();
  }

  /** What is left to be written is written. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.checkpoint();
    clearTimeout(this.#timer);
    if (this.#fildes !== undefined) this.#files.close(this.#fildes);
    this.#fildes = undefined;
  }

  get #path(): string {
    return join(this.#directory, FILE);
  }

  #nextNumber(): number {
    return nextPurgeNumber(this.#last, this.#nowMs());
  }

  #recall({ number, selectors, soft = false }: Line): void {
    this.#last = Math.max(this.#last, number);
    if (selectors === undefined) return;
    this.#entries.set(number, { purge: { number, selectors, soft, dryRun: false }, endedMs: undefined });
  }

  /** undefined: it can not be read, or a line that was written whole is not what was written. */
  #read(): Line[] | undefined {
    try {
      const fildes = this.#files.open(this.#path);
      try {
        const bytes = new Uint8Array(this.#files.sizeOf(this.#path) ?? 0);
        this.#files.read(fildes, bytes, 0);
        return parse(Buffer.from(bytes).toString());
      } finally {
        this.#files.close(fildes);
      }
    } catch (error) {
      return isMissing(error) ? [] : undefined;
    }
  }

  /** Writes what waits, all that has come meanwhile too, and forces it to the medium. */
  async #write(): Promise<void> {
    await Promise.resolve(); // who comes in this turn of the event loop waits for the same
    while (this.#unwritten.length > 0 || this.#isDoubtful) {
      const waiting = this.#unwritten;
      this.#unwritten = [];
      try {
        if (this.#isDoubtful) await this.#rewrite();
        else await this.#append(waiting.map(({ text }) => text).join(""));
        for (const { durable } of waiting) durable.resolve();
      } catch (error) {
        this.#isDoubtful = true;
        for (const { durable } of waiting) durable.reject(error);
        break;
      }
    }
    this.#work = undefined;
  }

  async #append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    this.#files.write(this.#fildes!, bytes, this.#bytes);
    this.#bytes += bytes.length;
    await this.#files.sync(this.#fildes!);
  }

  /** Another file takes its place, with all that has not been forgotten. */
  async #rewrite(): Promise<void> {
    const lines = [...this.#entries.values()].map(({ purge: { number, selectors, soft } }) => ({
      number,
      selectors,
      soft,
    }));
    const text = [{ number: this.#last }, ...lines].map(render).join("");
    const path = `${this.#path}.new`;
    this.#unlinkIfThere(path);
    const fildes = this.#files.create(path);
    try {
      this.#files.write(fildes, Buffer.from(text), 0);
      await this.#files.sync(fildes);
      this.#files.rename(path, this.#path);
      await this.#files.syncDirectory(this.#directory);
    } catch (error) {
      this.#files.close(fildes);
      throw error;
    }
    if (this.#fildes !== undefined) this.#files.close(this.#fildes);
    this.#fildes = fildes;
    this.#bytes = Buffer.byteLength(text);
    this.#isDoubtful = false;
  }

  #unlinkIfThere(path: string): void {
    try {
      this.#files.unlink(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

function render(line: Line): string {
  const json = JSON.stringify(line);
  return `${checksum(Buffer.from(json)).toString(16).padStart(16, "0")} ${json}\n`;
}

/** A last line that has no end was not forced to the medium, and its purge not answered. */
function parse(text: string): Line[] | undefined {
  const lines: Line[] = [];
  for (const line of text.split("\n").slice(0, -1)) {
    const [, sum, json] = LINE.exec(line) ?? [];
    if (json === undefined || checksum(Buffer.from(json)).toString(16).padStart(16, "0") !== sum) return undefined;
    lines.push(JSON.parse(json) as Line);
  }
  return lines;
}
