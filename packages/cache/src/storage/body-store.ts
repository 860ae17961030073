/** Whoever reads a body has to hold it: this one was dropped while nobody did, and what it had is gone. That is no fault of the medium's. */
export class DroppedBodyError extends Error {
  readonly code = "ERR_CACHE_BODY_DROPPED";

  constructor() {
    super("Cannot read a stored body: it has been dropped, and nobody held it");
    this.name = "DroppedBodyError";
  }
}

/**
 * Where the bytes of one body live: a list of blocks in memory or a file. It grows at its end while a fill appends, can be read at any
 * position that is there, and takes its room from the tier's limit as it grows.
 */
export interface BodyStore {
  /** Bytes that are there. */
  readonly bytes: number;
  /** The first byte that can still be read: above 0 only for a body that is not kept, once its readers have passed. */
  readonly firstByte: number;
  /** The number of the shared memory object that holds it, and nothing else, once it is complete: proxies may read it there. */
  readonly loan?: number;
  /**
   * Copies `chunk` to the end.
   *
   * @returns false when the tier has no room for it or its medium refused; nothing of the chunk is kept then.
   */
  append(chunk: Uint8Array): boolean;
  /**
   * Copies bytes from `position` into `into`, as many as are there and fit; returns how many. Blocks only for a disk read.
   *
   * @throws {DroppedBodyError} It was dropped before anybody held it.
   * @param only `at-hand`: never blocks; gives fewer where the next ones have to be had from the disk, and {@link load} brings them.
   */
  read(position: number, into: Uint8Array, only?: "at-hand"): number;
  /**
   * Brings bytes from `position` on, up to `bytes` of them but perhaps fewer, to where they are at hand. Who asks holds the body.
   *
   * @returns undefined when there is nothing to wait for. It rejects with what `read` would throw.
   */
  load?(position: number, bytes: number): Promise<void> | undefined;
  /** Somebody holds it: its bytes would stay, and take their room, after {@link discard}. */
  readonly isHeld: boolean;
  /** One more holder beside the maker: until the last one lets go the bytes stay readable, even when the response is evicted. */
  retain(): void;
  release(): void;
  /** Nobody will look this body up any more: its bytes go, and their room is given back, when the last holder lets go. */
  discard(): void;
}
