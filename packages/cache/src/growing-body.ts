import { BlockList } from "./storage/block-list.ts";
import type { BodyStore } from "./storage/body-store.ts";
import type { Storage } from "./storage/storage.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";

/** Of a window: what readers have passed goes soon, and one that stands still has little more than what has come. */
const WINDOW_BLOCK_BYTES = 64 * 1024;
const MOVE_BYTES = 256 * 1024;

/**
 * A body that a fill is writing while transfers read it. It begins in the cheapest tier that may take it, moves to the next when it outgrows one, and,
 * where no tier has room, goes on as a window: what all readers have passed is dropped, and nothing is kept at the end.
 */
export class GrowingBody {
  readonly #storage: TieredStorage;
  #tier: Storage | undefined;
  #store: BodyStore;
  /** Bytes of the stream before the window's first: they stay where they were written. */
  #windowStart = 0;
  #window: BlockList | undefined;
  #settled = false;
  #readers = 0;

  /** @param kept false: the response may not be stored, so its body is a window from the start. */
  constructor(storage: TieredStorage, expectedBytes: number | undefined, kept: boolean) {
    this.#storage = storage;
    const place = kept ? storage.placeFor(expectedBytes) : undefined;
    if (place !== undefined) {
      this.#tier = place.storage;
      this.#store = place.body;
    } else {
      this.#window = this.#newWindow();
      this.#store = this.#window;
    }
  }

  /** The tier that will keep it; undefined when none will. */
  get tier(): Storage | undefined {
    return this.#tier;
  }

  get bytes(): number {
    return this.#window === undefined ? this.#store.bytes : this.#windowStart + this.#window.bytes;
  }

  /** The first byte that can still be read. */
  get firstByte(): number {
    return this.#window !== undefined && this.#window.firstByte > 0 ? this.#windowStart + this.#window.firstByte : 0;
  }

  /** The store of a complete body that is kept. */
  get store(): BodyStore {
    return this.#store;
  }

  append(chunk: Uint8Array): void {
    if (this.#window !== undefined) {
      this.#window.append(chunk);
      return;
    }
    const bytes = this.#store.bytes + chunk.length;
    const fits = this.#tier !== undefined && bytes <= this.#tier.bodyBytesMax;
    if (fits && this.#store.append(chunk)) return;
    if (!this.#moveOn(bytes)) this.#becomeWindow();
    this.append(chunk);
  }

  read(position: number, into: Uint8Array, only?: "at-hand"): number {
    if (this.#window === undefined) return this.#store.read(position, into, only);
    if (position >= this.#windowStart) return this.#window.read(position - this.#windowStart, into);
    return this.#store.read(position, into.subarray(0, Math.min(into.length, this.#windowStart - position)), only);
  }

  load(position: number, bytes: number): Promise<void> | undefined {
    if (this.#window === undefined) return this.#store.load?.(position, bytes);
    if (position >= this.#windowStart) return undefined;
    return this.#store.load?.(position, Math.min(bytes, this.#windowStart - position));
  }

  /** Every reader has passed `position`: a window lets go of what lies before it. */
  dropBefore(position: number): void {
    if (this.#window !== undefined && position > this.#windowStart)
      this.#window.dropBefore(position - this.#windowStart);
  }

  /** The fill is over and the response is not kept: readers that are still there may finish. */
  abandon(): void {
    if (this.#tier !== undefined) this.#store.discard();
    this.#window?.discard();
    this.#tier = undefined;
    this.settle();
  }

  /** The fill is over; where the response is kept, {@link store} has been handed to its tier. */
  settle(): void {
    this.#settled = true;
    this.#letGo();
  }

  retain(): void {
    if (this.#settled && this.#readers === 0) throw new Error("Cannot read a body that its fill has let go of");
    this.#readers++;
  }

  release(): void {
    this.#readers--;
    this.#letGo();
  }

  #letGo(): void {
    if (!this.#settled || this.#readers > 0) return;
    this.#store.release();
    if (this.#window !== this.#store) this.#window?.release();
  }

  #newWindow(): BlockList {
    return new BlockList(this.#storage.windows, WINDOW_BLOCK_BYTES);
  }

  /** Copies all that is there to the next tier that takes `bytes` bytes. */
  #moveOn(bytes: number): boolean {
    const place = this.#storage.placeFor(bytes, this.#tier);
    if (place === undefined) return false;
    const from = this.#store;
    const scratch = new Uint8Array(new ArrayBuffer(MOVE_BYTES));
    for (let position = 0; position < from.bytes; ) {
      const count = from.read(position, scratch);
      if (!place.body.append(scratch.subarray(0, count))) {
        place.body.discard();
        place.body.release();
        return false;
      }
      position += count;
    }
    from.discard();
    from.release();
    this.#tier = place.storage;
    this.#store = place.body;
    return true;
  }

  #becomeWindow(): void {
    this.#window = this.#newWindow();
    this.#windowStart = this.#store.bytes;
    this.#store.discard();
    this.#tier = undefined;
  }
}
