/**
 * What a ring could not do.
 *
 * `ERR_IPC_RING_LAYOUT`: the object is no ring, or one of another version. `ERR_IPC_RING_TAKEN`: that end has had its
 * holder. `ERR_IPC_RING_CLOSED`: this end is closed, or, when writing, the reader has gone away on purpose.
 * `ERR_IPC_RING_PEER_DIED`: the thread of the other end (of its process, or a Worker) ended without closing it. `ERR_IPC_RING_CORRUPT`: the other
 * side's position can not be true; nothing was copied.
 */
export type RingErrorCode =
  | "ERR_IPC_RING_LAYOUT"
  | "ERR_IPC_RING_TAKEN"
  | "ERR_IPC_RING_CLOSED"
  | "ERR_IPC_RING_PEER_DIED"
  | "ERR_IPC_RING_CORRUPT";

/** A ring refused, or its other side broke the rules. Branch on `code`. */
export class RingError extends Error {
  override readonly name = "RingError";
  readonly code: RingErrorCode;

  constructor(code: RingErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
