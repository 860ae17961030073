import type { Room } from "./block-list.ts";
import { BlockSums } from "./block-sums.ts";
import { type BodyStore, DroppedBodyError } from "./body-store.ts";
import { BLOCKS_AT_ONCE, type ColdReads } from "./cold-reads.ts";
import { BLOCK_BYTES } from "./entry-tail.ts";
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
  readonly coldReads: ColdReads<BodyFile>;
  readonly room: Room;
  /** Removes a file, now or when the medium lets it. */
  unlink(path: string): void;
  /** Told of each error of the medium while writing (ENOSPC, EIO): the body is then not kept, the caller goes on without. */
  onFault(error: Error): void;
  /** Whether the body's entry has been dropped without the body being told: nobody held it then, and it had been forgotten. Its name may be another file's. */
  hasDropped(body: BodyFile): boolean;
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
  #sums = BlockSums.empty();
  #isArriving: boolean;
  #takenBytes = 0;
  #holders = 0;
  /** How many of its holders are loads that are under way. */
  #loads = 0;
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
    body.#sums = BlockSums.of(file.sums, file.bytes);
    body.#takenBytes = file.takenBytes;
    return body;
  }

  get bytes(): number {
    return this.#sums.bytes;
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** Its name may be another file's by now, and nobody had opened it before: a response that is looked up, validated, and dropped meanwhile. */
  get #isGone(): boolean {
    return this.#discarded && this.#fildes === undefined;
  }

  /** What it has taken of the tier's room. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** What does not fill a block is in memory only until that does, or the tail comes: a small body is written with its tail, in one call. */
  append(chunk: Uint8Array): boolean {
    if (this.#fildes === undefined || !this.#isArriving || !this.#takeFor(this.bytes + chunk.length)) return false;
    const { pending } = this.#sums;
    const blocksEnd = Math.floor((this.bytes + chunk.length) / BLOCK_BYTES) * BLOCK_BYTES;
    try {
      if (blocksEnd > this.bytes) this.#writeBlocks(this.#fildes, pending, chunk.subarray(0, blocksEnd - this.bytes));
    } catch (error) {
      this.#host.onFault(error as Error);
      return false;
    }
    this.#sums.add(chunk);
    return true;
  }

  /** @param pending What is there of the first one. @param rest From there to the end of the last one. */
  #writeBlocks(fildes: number, pending: Uint8Array, rest: Uint8Array): void {
    const { files } = this.#host;
    if (pending.length > 0) files.write(fildes, pending, this.bytes - pending.length);
    files.write(fildes, rest, this.bytes);
  }

  /** @throws {BrokenBodyError} The bytes are not those that were written, or can not be read. `EMFILE` and the like: not now. */
  read(position: number, into: Uint8Array, only?: "at-hand"): number {
    const wanted = Math.max(0, Math.min(this.bytes - position, into.length));
    if (wanted === 0) return 0;
    if (this.#isGone) throw new DroppedBodyError();
    if (this.#broken !== undefined) throw this.#broken;
    try {
      return this.#readBlocks(into, position, wanted, only === "at-hand");
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Rejects with what {@link read} throws. */
  load(position: number, bytes: number): Promise<void> | undefined {
    const firstBlock = Math.floor(position / BLOCK_BYTES);
    const { checkedBytes } = this.#sums;
    const wantedTo = Math.min(position + bytes, checkedBytes);
    const to = Math.min(Math.ceil(wantedTo / BLOCK_BYTES), firstBlock + BLOCKS_AT_ONCE) * BLOCK_BYTES;
    const loadedBytes = Math.min(to, checkedBytes) - firstBlock * BLOCK_BYTES;
    if (wantedTo <= position || this.#isGone || this.#broken !== undefined) return undefined;
    return this.#load(firstBlock, loadedBytes);
  }

  async #load(firstBlock: number, bytes: number): Promise<void> {
    this.retain();
    this.#loads++;
    try {
      await this.#host.coldReads.bring({
        body: this,
        open: () => this.#open(),
        firstBlock,
        bytes,
        isWanted: () => this.#holders > this.#loads && this.#broken === undefined,
        check: (read) => this.#check(read, firstBlock, bytes),
      });
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#loads--;
      this.release();
    }
  }

  /** Its descriptor, had by another thread where the medium has to be waited for. The caller holds the body. */
  #open(): number | Promise<number> {
    this.#fildes ??= this.#host.files.openAtHand(this.#path);
    return this.#fildes ?? this.#openLater();
  }

  async #openLater(): Promise<number> {
    const { files } = this.#host;
    const path = this.#path;
    try {
      const fildes = await files.openLater(path);
      if (this.#fildes === undefined) this.#fildes = fildes;
      else files.close(fildes); // it has been opened meanwhile, perhaps because the name was about to go
    } catch (error) {
      if (this.#fildes !== undefined) return this.#fildes;
      if (this.#path === path) throw error;
    }
    return this.#open(); // under the name that it has now
  }

  /** The error to throw for what has gone wrong: the body is broken, unless it says nothing of it. */
  #failed(error: unknown): unknown {
    if (saysNothingOfFile(error)) {
      this.#host.onFault(error as Error);
      return error;
    }
    if (this.#isGone || (!this.#discarded && this.#host.hasDropped(this))) return new DroppedBodyError();
    if (this.#broken !== undefined) return this.#broken;
    this.#broken =
      error instanceof BrokenBodyError
        ? error
        : new BrokenBodyError(this.#path, String((error as Error).message), error);
    if (!this.#isArriving) this.#host.onBroken(this, this.#broken);
    return this.#broken;
  }

  retain(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders > 0) return;
    if (scratch.of === this) scratch.of = undefined;
    this.#host.coldReads.forget(this);
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
    return this.#sums.all();
  }

  /**
   * Writes the tail behind the body and cuts off what was there before; false when there is no room for it or the medium refused.
   *
   * @returns The length of the file.
   */
  writeTail(tail: Uint8Array): number | undefined {
    const fileBytes = this.bytes + tail.length;
    if (!this.#takeFor(fileBytes)) return undefined;
    try {
      if (this.#isArriving) this.#writeEnd(this.#fildes!, tail);
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

  #writeEnd(fildes: number, tail: Uint8Array): void {
    const { pending } = this.#sums;
    const end = new Uint8Array(pending.length + tail.length);
    end.set(pending);
    end.set(tail, pending.length);
    this.#host.files.write(fildes, end, this.bytes - pending.length);
  }

  #replaceTail(tail: Uint8Array, fileBytes: number): void {
    const { files } = this.#host;
    const fildes = files.openForWriting(this.#path);
    try {
      files.write(fildes, tail, this.bytes);
      files.truncate(fildes, fileBytes);
    } finally {
      files.close(fildes);
    }
  }

  /** Its file has this name from now on, and its body is complete. */
  becomes(path: string): void {
    this.#sums.complete();
    this.#path = path;
    this.#isArriving = false;
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

  #readBlocks(into: Uint8Array, position: number, wanted: number, isAtHand: boolean): number {
    let done = 0;
    while (done < wanted) {
      const index = Math.floor((position + done) / BLOCK_BYTES);
      const inBlock = position + done - index * BLOCK_BYTES;
      const count = Math.min(wanted - done, BLOCK_BYTES - inBlock);
      if (!this.#readPart(into.subarray(done, done + count), index, inBlock, isAtHand)) break;
      done += count;
    }
    return done;
  }

  /** Bytes of one block from `inBlock` on; false when they are not at hand. */
  #readPart(into: Uint8Array, index: number, inBlock: number, isAtHand: boolean): boolean {
    const blockBytes = Math.min(BLOCK_BYTES, this.#sums.checkedBytes - index * BLOCK_BYTES);
    if (blockBytes <= 0) this.#sums.readPending(inBlock, into);
    else if (into.length === blockBytes) return this.#readBlock(into, index, isAtHand);
    else {
      if (scratch.of !== this || scratch.index !== index) {
        scratch.of = undefined;
        if (!this.#readBlock(scratch.bytes.subarray(0, blockBytes), index, isAtHand)) return false;
        scratch.of = this;
        scratch.index = index;
      }
      into.set(scratch.bytes.subarray(inBlock, inBlock + into.length));
    }
    return true;
  }

  /** A whole block; false when it is not at hand. */
  #readBlock(into: Uint8Array, index: number, isAtHand: boolean): boolean {
    const { coldReads, files } = this.#host;
    const brought = coldReads.find(this, index);
    if (brought !== undefined && brought.length === into.length) {
      into.set(brought);
      coldReads.taken(this, index);
      return true;
    }
    this.#fildes ??= isAtHand ? files.openAtHand(this.#path) : files.open(this.#path);
    if (this.#fildes === undefined) return false;
    const position = index * BLOCK_BYTES;
    if (isAtHand) {
      if (files.readAtHand(this.#fildes, into, position) < into.length) return false;
    } else if (files.read(this.#fildes, into, position) < into.length) throw this.#cutOff();
    this.#check(into, index, into.length);
    return true;
  }

  /** @throws {BrokenBodyError} These are not the bytes of the blocks from `firstBlock` on, or not all `wanted` of them. */
  #check(bytes: Uint8Array, firstBlock: number, wanted: number): void {
    if (bytes.length < wanted) throw this.#cutOff();
    for (let from = 0, index = firstBlock; from < bytes.length; from += BLOCK_BYTES, index++) {
      if (this.#sums.fits(index, bytes.subarray(from, from + BLOCK_BYTES))) continue;
      throw new BrokenBodyError(this.#path, `the checksum of block ${index} is not the one that was written`);
    }
  }

  #cutOff(): BrokenBodyError {
    return new BrokenBodyError(this.#path, `the file ends before its ${this.bytes} bytes`);
  }
}
