import { type BodyStore, DroppedBodyError } from "./body-store.ts";
import type { RecordLog } from "./record-log.ts";

/** The body at the end of a record, complete. Its record goes when it is discarded and nobody holds it any more. */
export class PackedBody implements BodyStore {
  readonly firstByte = 0;
  readonly bytes: number;
  readonly #log: RecordLog;
  readonly #id: number;
  readonly #generation: number;
  #holders = 0;
  #isDiscarded = false;

  constructor(log: RecordLog, id: number, bytes: number) {
    this.#log = log;
    this.#id = id;
    this.#generation = log.generation(id);
    this.bytes = bytes;
  }

  /** It is complete. */
  append(): boolean {
    return false;
  }

  read(position: number, into: Uint8Array): number {
    if (this.#log.generation(this.#id) !== this.#generation) throw new DroppedBodyError();
    const count = Math.max(0, Math.min(this.bytes - position, into.length));
    if (count === 0) return 0;
    this.#log.read(this.#id, this.#log.lengthOf(this.#id) - this.bytes + position, into, count);
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
    this.#freeIfDone();
  }

  discard(): void {
    this.#isDiscarded = true;
    this.#freeIfDone();
  }

  #freeIfDone(): void {
    if (!this.#isDiscarded || this.#holders > 0) return;
    if (this.#log.generation(this.#id) === this.#generation) this.#log.free(this.#id);
  }
}
