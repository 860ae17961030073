/**
 * Why a segment pool refused. `ERR_IPC_NOT_HELD`: this member does not hold that segment (given back twice, perhaps).
 * `ERR_IPC_EVICTED`: the pool took this member for dead and gave its segments to others. `ERR_IPC_POOL_FULL`: no slot for
 * another member. `ERR_IPC_POOL_BUSY`: somebody has kept the pool's mutex for seconds (a stopped process, perhaps).
 * `ERR_IPC_POOL_UNLINKED`: its names have been removed, so nobody can wait for a segment any more.
 * `ERR_IPC_POOL_NOT_READY`: its creator is still making it: try again. `ERR_IPC_POOL_LAYOUT`: not a pool, or one of
 * another version.
 */
export type SegmentPoolErrorCode =
  | "ERR_IPC_NOT_HELD"
  | "ERR_IPC_EVICTED"
  | "ERR_IPC_POOL_FULL"
  | "ERR_IPC_POOL_BUSY"
  | "ERR_IPC_POOL_UNLINKED"
  | "ERR_IPC_POOL_NOT_READY"
  | "ERR_IPC_POOL_LAYOUT";

/** A segment pool refused; branch on `code`. */
export class SegmentPoolError extends Error {
  override readonly name = "SegmentPoolError";
  readonly code: SegmentPoolErrorCode;

  constructor(code: SegmentPoolErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
