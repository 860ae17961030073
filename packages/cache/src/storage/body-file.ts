import type { Room } from "./block-list.ts";
import type { BodyStore } from "./body-store.ts";
import { BLOCK_BYTES, blocksOf, checksum } from "./entry-tail.ts";
import { type FileSystem, isMissing, saysNothingOfFile } from "./file-system.ts";

/** Files take whole blocks of the file system: 4 KiB nearly everywhere. */
const FILE_BLOCK_BYTES = 4096;
/** What directory and inode take for a file, roughly. */
const FILE_OVERHEAD_BYTES = 512;

/** What a file of so many bytes takes of the disk. */
export function diskBytesOf(fileBytes: number): number {
  return Math.ceil(fileBytes / FILE_BLOCK_BYTES) * FILE_BLOCK_BYTES + FILE_OVERHEAD_BYTES;
}

/** What body files need of the tier they belong to. */
export interface BodyFileHost {
  readonly files: FileSystem;
  readonly room: Room;
  /** Removes a file, now or when the medium lets it. */
  unlink(path: string): void;
  /** Told of each error of the medium while writing (ENOSPC, EIO): the body is then not kept, the caller goes on without. */
  onFault(error: Error): void;
  /** Told once when the file does not hold what was written: it must not be used again. */
  onBroken(body: BodyFile, error: Error): void;
}

/** A stored body can not be read as it was written. */
export class BrokenBodyError extends Error {
  readonly code = "ERR_CACHE_BODY_BROKEN";

  constructor(path: string, what: string, cause?: unknown) {
    super(`Cannot read the body in "${path}": ${what}`, { cause });
    this.name = "BrokenBodyError";
  }
}

/** One block of one body, as it was read and compared last: two portions rarely meet at a block's border. */
const scratch: { of: BodyFile | undefined; index: number; readonly bytes: Uint8Array } = {
  of: undefined,
  index: 0,
  bytes: new Uint8Array(new ArrayBuffer(BLOCK_BYTES)),
};

/**
 * A body in a file of its own, in blocks that are compared with their checksums each time they are read. The descriptor is open only while somebody fills
 * or reads it.
 */
export class BodyFile implements BodyStore {
  readonly firstByte = 0;
  readonly #host: BodyFileHost;
  #path: string;
  #fildes: number | undefined;
  #bytes = 0;
  /** Checksums of the blocks that are complete; of all, once the body is. */
  #sums: bigint[] | BigUint64Array = [];
  /** The bytes of the block that is not complete yet. */
  #pending: Uint8Array | undefined;
  #isArriving: boolean;
  #takenBytes = 0;
  #holders = 0;
  #discarded = false;
  #broken: BrokenBodyError | undefined;

  private constructor(host: BodyFileHost, path: string, isArriving: boolean) {
    this.#host = host;
    this.#path = path;
    this.#isArriving = isArriving;
  }

  /**
   * Creates the file. Its maker is the first holder and calls {@link release} once it has appended all it has.
   *
   * @throws The error of `open` when the file can not be made.
   */
  static create(host: BodyFileHost, path: string): BodyFile {
    const body = new BodyFile(host, path, true);
    body.#fildes = host.files.create(path);
    body.#holders = 1;
    return body;
  }

  /** A body that a former owner has completed; nobody holds it. @param takenBytes What has been taken of the room for its file. */
  static existing(
    host: BodyFileHost,
    file: { path: string; bytes: number; sums: BigUint64Array; takenBytes: number },
  ): BodyFile {
    const body = new BodyFile(host, file.path, false);
    body.#bytes = file.bytes;
    body.#sums = file.sums;
    body.#takenBytes = file.takenBytes;
    return body;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** What it has taken of the tier's room. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  append(chunk: Uint8Array): boolean {
    if (this.#fildes === undefined || !this.#isArriving || !this.#takeFor(this.#bytes + chunk.length)) return false;
    try {
      this.#host.files.write(this.#fildes, chunk, this.#bytes);
    } catch (error) {
      this.#host.onFault(error as Error);
      return false;
    }
    this.#addToSums(chunk);
    this.#bytes += chunk.length;
    return true;
  }

  /** @throws {BrokenBodyError} The bytes are not those that were written, or can not be read. `EMFILE` and the like: not now. */
  read(position: number, into: Uint8Array): number {
    const wanted = Math.max(0, Math.min(this.#bytes - position, into.length));
    if (wanted === 0) return 0;
    if (this.#broken !== undefined) throw this.#broken;
    try {
      if (this.#isArriving) this.#readFully(into.subarray(0, wanted), position);
      else this.#readBlocks(into, position, wanted);
    } catch (error) {
      if (saysNothingOfFile(error)) {
        this.#host.onFault(error as Error);
        throw error;
      }
      this.#broken =
        error instanceof BrokenBodyError
          ? error
          : new BrokenBodyError(this.#path, String((error as Error).message), error);
      if (!this.#isArriving) this.#host.onBroken(this, this.#broken);
      throw this.#broken;
    }
    return wanted;
  }

  retain(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders > 0) return;
    if (scratch.of === this) scratch.of = undefined;
    if (this.#fildes !== undefined) this.#host.files.close(this.#fildes);
    this.#fildes = undefined;
    if (this.#discarded) this.#giveBack();
  }

  discard(): void {
    if (this.#discarded) return;
    this.#discarded = true;
    try {
      // Whoever still reads keeps the descriptor, and with it the bytes: it must be open before the name goes.
      if (this.#holders > 0) this.#fildes ??= this.#host.files.open(this.#path);
    } catch (error) {
      if (!isMissing(error)) this.#host.onFault(error as Error);
    }
    this.#host.unlink(this.#path);
    if (this.#holders === 0) this.#giveBack();
  }

  /** Checksums of all blocks: of a body that is complete. */
  sums(): BigUint64Array {
    if (this.#sums instanceof BigUint64Array) return this.#sums;
    const rest = this.#bytes % BLOCK_BYTES;
    const sums = new BigUint64Array(blocksOf(this.#bytes));
    this.#sums.forEach((sum, index) => {
      sums[index] = sum;
    });
    if (rest > 0) sums[sums.length - 1] = checksum(this.#pending!.subarray(0, rest));
    return sums;
  }

  /**
   * Writes the tail behind the body and cuts off what was there before; false when there is no room for it or the medium refused.
   *
   * @returns The length of the file.
   */
  writeTail(tail: Uint8Array): number | undefined {
    const fileBytes = this.#bytes + tail.length;
    if (!this.#takeFor(fileBytes)) return undefined;
    try {
      if (this.#isArriving) this.#host.files.write(this.#fildes!, tail, this.#bytes);
      else this.#replaceTail(tail, fileBytes);
    } catch (error) {
      this.#host.onFault(error as Error);
      return undefined;
    }
    const lessBytes = this.#takenBytes - diskBytesOf(fileBytes);
    if (lessBytes > 0) this.#host.room.giveBack(lessBytes);
    this.#takenBytes -= Math.max(0, lessBytes);
    return fileBytes;
  }

  #replaceTail(tail: Uint8Array, fileBytes: number): void {
    const { files } = this.#host;
    const fildes = files.openForWriting(this.#path);
    try {
      files.write(fildes, tail, this.#bytes);
      files.truncate(fildes, fileBytes);
    } finally {
      files.close(fildes);
    }
  }

  /** Its file has this name from now on, and its body is complete. */
  becomes(path: string): void {
    this.#sums = this.sums();
    this.#path = path;
    this.#isArriving = false;
    this.#pending = undefined;
  }

  get path(): string {
    return this.#path;
  }

  /** Never gives back: see {@link writeTail}. */
  #takeFor(fileBytes: number): boolean {
    const more = diskBytesOf(fileBytes) - this.#takenBytes;
    if (more <= 0) return true;
    if (!this.#host.room.take(more)) return false;
    this.#takenBytes += more;
    return true;
  }

  #giveBack(): void {
    this.#host.room.giveBack(this.#takenBytes);
    this.#takenBytes = 0;
  }

  #addToSums(chunk: Uint8Array): void {
    const sums = this.#sums as bigint[];
    for (let from = 0; from < chunk.length; ) {
      const inBlock = (this.#bytes + from) % BLOCK_BYTES;
      const count = Math.min(chunk.length - from, BLOCK_BYTES - inBlock);
      const piece = chunk.subarray(from, from + count);
      from += count;
      if (count === BLOCK_BYTES) {
        sums.push(checksum(piece));
        continue;
      }
      this.#pending ??= new Uint8Array(BLOCK_BYTES);
      this.#pending.set(piece, inBlock);
      if (inBlock + count === BLOCK_BYTES) sums.push(checksum(this.#pending));
    }
  }

  #readBlocks(into: Uint8Array, position: number, wanted: number): void {
    for (let done = 0; done < wanted; ) {
      const index = Math.floor((position + done) / BLOCK_BYTES);
      const inBlock = position + done - index * BLOCK_BYTES;
      const blockBytes = Math.min(BLOCK_BYTES, this.#bytes - index * BLOCK_BYTES);
      const count = Math.min(wanted - done, blockBytes - inBlock);
      const target = into.subarray(done, done + count);
      if (count === blockBytes) this.#readBlock(target, index);
      else {
        if (scratch.of !== this || scratch.index !== index) {
          scratch.of = undefined;
          this.#readBlock(scratch.bytes.subarray(0, blockBytes), index);
          scratch.of = this;
          scratch.index = index;
        }
        target.set(scratch.bytes.subarray(inBlock, inBlock + count));
      }
      done += count;
    }
  }

  #readBlock(into: Uint8Array, index: number): void {
    this.#readFully(into, index * BLOCK_BYTES);
    if (checksum(into) === this.#sums[index]) return;
    throw new BrokenBodyError(this.#path, `the checksum of block ${index} is not the one that was written`);
  }

  #readFully(into: Uint8Array, position: number): void {
    this.#fildes ??= this.#host.files.open(this.#path);
    const count = this.#host.files.read(this.#fildes, into, position);
    if (count === into.length) return;
    throw new BrokenBodyError(this.#path, `the file ends before its ${this.#bytes} bytes`);
  }
}
