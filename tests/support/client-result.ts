/** What a client got. */
export interface ClientResult {
  /** The status as it stood in the head; undefined when the connection ended before one. */
  status: string | undefined;
  /** The length that the head promised. */
  length: number | undefined;
  /** Bytes of body that came. */
  bytes: number;
  /** Of those. */
  sha256: string;
  /** The body came whole, by the length it had promised or by its last chunk, and nothing after it. */
  isComplete: boolean;
  /** The head as it came, as latin1. */
  head: string;
}

/** How a client misbehaves, or what else it does beside sending its request. */
export interface ClientBehaviour {
  /** Sends its request one byte at a time. */
  byteByByte?: boolean;
  /** Sends no more once its request is out: the server sees the end of what comes. */
  halfCloses?: boolean;
  /** Closes when so many bytes of body are there. */
  leaveAfterBytes?: number;
  /** Reads nothing more, once so many bytes of body are there, until the promise settles. */
  pauseAfterBytes?: { bytes: number; until: Promise<unknown> };
  /** Reads so many bytes of body in a second: after what has come, nothing for as long as that may take. */
  bytesPerSecond?: number;
  /** The body as it comes, instead of only its sum. */
  onBody?: (chunk: Uint8Array) => void;
  timeoutMs?: number;
}
