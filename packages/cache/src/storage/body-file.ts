import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import type { Room } from "./block-list.ts";
import type { BodyStore } from "./body-store.ts";

/** A body in a file of its own. The descriptor is open only while somebody fills or reads it. */
export class BodyFile implements BodyStore {
  readonly firstByte = 0;
  readonly #path: string;
  readonly #room: Room;
  readonly #onFault: (error: Error) => void;
  #fildes: number | undefined;
  #bytes = 0;
  #holders = 1;
  #discarded = false;

  /**
   * Creates the file. Its maker is the first holder and calls {@link release} once it has appended all it has.
   *
   * @param onFault Told of each error of the medium (ENOSPC, EIO): the body is then not kept, the caller goes on without.
   * @throws The error of `open` when the file can not be made.
   */
  constructor(path: string, room: Room, onFault: (error: Error) => void) {
    this.#path = path;
    this.#room = room;
    this.#onFault = onFault;
    this.#fildes = openSync(
      path,
      constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_NOFOLLOW,
      0o600,
    );
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(chunk: Uint8Array): boolean {
    if (this.#fildes === undefined || !this.#room.take(chunk.length)) return false;
    try {
      for (let written = 0; written < chunk.length; ) {
        written += writeSync(this.#fildes, chunk, written, chunk.length - written, this.#bytes + written);
      }
    } catch (error) {
      this.#room.giveBack(chunk.length);
      this.#onFault(error as Error);
      return false;
    }
    this.#bytes += chunk.length;
    return true;
  }

  /** @throws The error of `open` or `pread`, or one with code `ERR_CACHE_BODY_SHORT` when the file has been shortened by somebody. */
  read(position: number, into: Uint8Array): number {
    this.#fildes ??= openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW);
    const wanted = Math.max(0, Math.min(this.#bytes - position, into.length));
    for (let done = 0; done < wanted; ) {
      const count = readSync(this.#fildes, into, done, wanted - done, position + done);
      if (count === 0) {
        throw Object.assign(
          new Error(
            `Cannot read byte ${position + done} of "${this.#path}": the file ends before its ${this.#bytes} bytes`,
          ),
          {
            code: "ERR_CACHE_BODY_SHORT",
          },
        );
      }
      done += count;
    }
    return wanted;
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  retain(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders > 0) return;
    if (this.#fildes !== undefined) closeSync(this.#fildes);
    this.#fildes = undefined;
    if (this.#discarded) this.#room.giveBack(this.#bytes);
  }

  discard(): void {
    if (this.#discarded) return;
    this.#discarded = true;
    // Whoever still reads keeps the descriptor, and with it the bytes: it must be open before the name goes.
    if (this.#holders > 0) this.#fildes ??= openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW);
    else this.#room.giveBack(this.#bytes);
    try {
      unlinkSync(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#onFault(error as Error);
    }
  }
}
