import type { StoredResponse } from "../stored-response.ts";
import type { BodyFile } from "./body-file.ts";
import type { BodyStore } from "./body-store.ts";
import type { DiskStorage } from "./disk-storage.ts";
import type { MemoryStorage } from "./memory-storage.ts";

/** So many responses wait at most; those that come when it is full are copied when they are used again. */
const WAITING_MAX = 4096;
/** Between two looks at the clock, no more than this is copied. */
const PIECE_BYTES = 256 * 1024;

/** One copy that is under way. */
interface Copying {
  readonly response: StoredResponse;
  /** Its slot in memory. */
  readonly original: number;
  /** The response's body when the copy was begun. */
  readonly source: BodyStore;
  readonly body: BodyFile;
}

/** Copies to disk what is in memory only, a little at a time, so that a restart does not begin with nothing. */
export class WriteBehind {
  readonly #memory: MemoryStorage;
  readonly #disk: DiskStorage;
  readonly #nowMs: () => number;
  /** Slots in memory. */
  readonly #waiting = new Set<number>();
  readonly #piece = new Uint8Array(new ArrayBuffer(PIECE_BYTES));
  #copying: Copying | undefined;

  constructor(memory: MemoryStorage, disk: DiskStorage, nowMs: () => number) {
    this.#memory = memory;
    this.#disk = disk;
    this.#nowMs = nowMs;
  }

  get isIdle(): boolean {
    return this.#copying === undefined && this.#waiting.size === 0 && this.#disk.copies.firstOutdated === undefined;
  }

  /** `response`, which is in this slot of memory, has been stored or used. */
  add(slot: number, response: StoredResponse): void {
    if (this.#waiting.size >= WAITING_MAX || this.#disk.copies.has(slot)) return;
    if (response.parts !== undefined || response.onlyForRange !== undefined) return;
    if (response.bodyBytes <= this.#disk.bodyBytesMax) this.#waiting.add(slot);
  }

  /** Copies for about `budgetMs`, and stops earlier when nothing is left or the disk does not take anything now. */
  run(budgetMs: number): void {
    const untilMs = this.#nowMs() + budgetMs;
    do {
      const outdated = this.#disk.copies.firstOutdated;
      if (outdated !== undefined) this.#disk.copies.renew(outdated, this.#memory.responseAt(outdated));
      this.#copying ??= this.#begin();
      if (this.#copying === undefined) return;
      this.#step(this.#copying);
    } while (this.#nowMs() < untilMs);
  }

  /** Gives up what is under way. */
  close(): void {
    this.#waiting.clear();
    if (this.#copying !== undefined) this.#end(this.#copying, false);
  }

  #begin(): Copying | undefined {
    for (const original of this.#waiting) {
      const response = this.#disk.copies.has(original) ? undefined : this.#memory.responseAt(original);
      const body = response === undefined ? undefined : this.#disk.newBody();
      if (response !== undefined && body === undefined) return undefined;
      this.#waiting.delete(original);
      if (response === undefined || body === undefined) continue;
      const source = response.body;
      source.retain();
      return { response, original, source, body };
    }
    return undefined;
  }

  #step(copying: Copying): void {
    const { response, source, body } = copying;
    const count = source.read(body.bytes, this.#piece);
    const isTaken = count === 0 || body.append(this.#piece.subarray(0, count));
    const isStored = this.#memory.slotOf(response) === copying.original;
    if (!isTaken || !isStored) this.#end(copying, false);
    else if (body.bytes === response.bodyBytes) this.#end(copying, true);
  }

  #end({ original, source, body }: Copying, isWhole: boolean): void {
    this.#copying = undefined;
    if (isWhole) this.#disk.copies.store(this.#memory.responseAt(original)!, body, original);
    else body.discard();
    body.release();
    source.release();
  }
}
