import { type ObjectName, SharedMemory } from "@proj/ipc";
import type { Room } from "./block-list.ts";
import { type BodyStore, DroppedBodyError } from "./body-store.ts";

/**
 * A body in a shared memory object of its own, of just its length: a proxy that is told its number maps it and sends from it, and nothing is copied.
 * The name goes when the body is discarded; the bytes go when the last process that maps them lets go.
 */
export class SharedBody implements BodyStore {
  readonly firstByte = 0;
  /** The number that names the object. */
  readonly loan: number;
  readonly #memory: SharedMemory;
  readonly #room: Room;
  readonly #onUnmap: () => void;
  #bytes = 0;
  #holders = 1;
  #discarded = false;
  #isUnmapped = false;

  /**
   * @param expectedBytes Length of the body, at least 1; allocated at once.
   * @param room Where so many bytes have been taken: they are given back when the object is unmapped.
   * @throws {SystemCallError} `ENOSPC`: /dev/shm is full.
   */
  constructor(name: ObjectName, loan: number, expectedBytes: number, room: Room, onUnmap: () => void) {
    this.loan = loan;
    this.#memory = SharedMemory.create(name, expectedBytes, { registered: false });
    this.#room = room;
    this.#onUnmap = onUnmap;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(chunk: Uint8Array): boolean {
    if (this.#bytes + chunk.length > this.#memory.length) return false;
    this.#memory.bytes.set(chunk, this.#bytes);
    this.#bytes += chunk.length;
    return true;
  }

  read(position: number, into: Uint8Array): number {
    if (this.#isUnmapped) throw new DroppedBodyError();
    const count = Math.max(0, Math.min(this.#bytes - position, into.length));
    into.set(this.#memory.bytes.subarray(position, position + count));
    return count;
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  retain(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    this.#unmapIfDone();
  }

  discard(): void {
    if (this.#discarded) return;
    this.#discarded = true;
    this.#memory.unlink();
    this.#unmapIfDone();
  }

  /** Once: who finds that it has been dropped has held it, and lets go of it again. */
  #unmapIfDone(): void {
    if (!this.#discarded || this.#holders > 0 || this.#isUnmapped) return;
    this.#isUnmapped = true;
    this.#room.giveBack(this.#memory.length);
    this.#memory.close();
    this.#onUnmap();
  }
}
