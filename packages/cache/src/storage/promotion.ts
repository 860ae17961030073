import type { StoredResponse } from "../stored-response.ts";
import type { BodyStore } from "./body-store.ts";
import type { DiskStorage } from "./disk-storage.ts";
import type { MemoryStorage } from "./memory-storage.ts";

/** A body no longer than this comes at its first use: at once where the kernel has it at hand, which takes less than a millisecond. */
const AT_ONCE_BYTES_MAX = 256 * 1024;
/** Longer ones come at this use, and what would not have begun in memory after as many for each part of it that would: it drives others out. */
const PROVEN_BY_USES = 2;
/** In pieces of this size; so many wait at most. */
const PIECE_BYTES = 256 * 1024;
const WAITING_MAX = 64;

/** One body on its way from disk to memory. */
interface Moving {
  readonly response: StoredResponse;
  readonly source: BodyStore;
  readonly copy: BodyStore;
  /** Its next bytes are being read from the disk. */
  isLoading: boolean;
}

/** Brings what is used from disk into memory; who holds the response sees only that its body is elsewhere, and reads on where he began. */
export class Promotion {
  readonly #memory: MemoryStorage;
  readonly #disk: DiskStorage;
  readonly #isStored: (response: StoredResponse) => boolean;
  readonly #nowMs: () => number;
  /** Of what has not proven itself yet. */
  readonly #uses = new WeakMap<StoredResponse, number>();
  readonly #waiting = new Set<StoredResponse>();
  readonly #piece = new Uint8Array(new ArrayBuffer(PIECE_BYTES));
  #moving: Moving | undefined;

  /** @param isStored Whether it may still be used: neither gone nor about to be purged. */
  constructor(
    memory: MemoryStorage,
    disk: DiskStorage,
    isStored: (response: StoredResponse) => boolean,
    nowMs: () => number,
  ) {
    this.#memory = memory;
    this.#disk = disk;
    this.#isStored = isStored;
    this.#nowMs = nowMs;
  }

  get isIdle(): boolean {
    return this.#moving === undefined && this.#waiting.size === 0;
  }

  /** `response` is on disk, and has been used. */
  used(response: StoredResponse): void {
    if (response.bodyBytes > this.#memory.provenBytesMax) return;
    if (response.parts !== undefined || response.onlyForRange !== undefined) return;
    if (response.bodyBytes <= Math.min(AT_ONCE_BYTES_MAX, this.#memory.bodyBytesMax)) {
      const moving = this.#begin(response);
      if (moving === undefined || this.#goOn(moving) === "over") return;
      this.#giveUp(moving); // who uses it now has it read from the disk: then it is at hand
    } else if (!this.#hasProven(response)) return;
    if (this.#waiting.size < WAITING_MAX) this.#waiting.add(response);
  }

  /** Moves for about `budgetMs`. */
  run(budgetMs: number): void {
    const untilMs = this.#nowMs() + budgetMs;
    do {
      this.#moving ??= this.#next();
      if (this.#moving === undefined || this.#moving.isLoading) return;
      const outcome = this.#step(this.#moving);
      if (outcome === "loads") return;
      if (outcome === "over") this.#moving = undefined;
    } while (this.#nowMs() < untilMs);
  }

  /** Gives up what is under way. */
  close(): void {
    this.#waiting.clear();
    if (this.#moving !== undefined) this.#giveUp(this.#moving);
    this.#moving = undefined;
  }

  #hasProven(response: StoredResponse): boolean {
    const uses = (this.#uses.get(response) ?? 0) + 1;
    this.#uses.set(response, uses);
    return uses >= PROVEN_BY_USES * Math.ceil(response.bodyBytes / this.#memory.bodyBytesMax);
  }

  #goOn(moving: Moving): "over" | "loads" {
    for (;;) {
      const outcome = this.#step(moving);
      if (outcome !== "goes on") return outcome;
    }
  }

  #next(): Moving | undefined {
    for (const response of this.#waiting) {
      this.#waiting.delete(response);
      const moving = this.#begin(response);
      if (moving !== undefined) return moving;
    }
    return undefined;
  }

  #begin(response: StoredResponse): Moving | undefined {
    if (!this.#isStored(response) || !this.#disk.has(response) || this.#memory.has(response)) return undefined;
    if (response.bodyBytes > this.#memory.bodyBytesMax && !this.#memory.couldTake(response.bodyBytes)) return undefined;
    this.#disk.adopt(response);
    const source = response.body;
    source.retain();
    this.#uses.delete(response);
    return { response, source, copy: this.#memory.newBody(response.bodyBytes), isLoading: false };
  }

  #step(moving: Moving): "goes on" | "over" | "loads" {
    const { response, source, copy } = moving;
    const outcome = this.#copyPiece(moving);
    if (outcome === "fails" || !this.#disk.has(response) || !this.#isStored(response)) return this.#giveUp(moving);
    if (outcome === "loads") return "loads";
    if (copy.bytes < response.bodyBytes) return "goes on";
    source.release(); // only then the disk tier sees whether others hold it
    response.body = copy;
    const original = this.#memory.store(response) ? this.#memory.slotOf(response) : undefined;
    if (original === undefined) response.body = source;
    else {
      this.#memory.adopt(response);
      this.#disk.copies.shadow(response, source, original);
    }
    copy.release();
    return "over";
  }

  /** Fails when the source is broken, which its tier has told, or when there is no room. */
  #copyPiece(moving: Moving): "copied" | "loads" | "fails" {
    const { source, copy } = moving;
    try {
      const count = source.read(copy.bytes, this.#piece, "at-hand");
      const loading = count === 0 ? source.load?.(copy.bytes, PIECE_BYTES) : undefined;
      if (loading === undefined) return copy.append(this.#piece.subarray(0, count)) ? "copied" : "fails";
      moving.isLoading = true;
      const over = () => {
        moving.isLoading = false;
      };
      loading.then(over, over);
      return "loads";
    } catch {
      return "fails";
    }
  }

  #giveUp({ source, copy }: Moving): "over" {
    copy.discard();
    copy.release();
    source.release();
    return "over";
  }
}
