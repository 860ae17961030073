/** The largest head that is taken; every number is an upper bound that is itself still taken. */
export interface HeadLimits {
  /** Bytes from the first byte of the start line to the last of the empty line. Beyond it: 431. */
  headBytes: number;
  /** Field lines in one head. Beyond it: 431. */
  fields: number;
  /** Bytes of the request target. Beyond it: 414 (RFC 9112 section 3 asks for at least 8,000). */
  targetBytes: number;
  /** Bytes of the method. Beyond it: 501 (RFC 9112 section 3: longer than any method that is implemented). */
  methodBytes: number;
  /** Bytes of a response's reason phrase. */
  reasonBytes: number;
}

/** What one message body may cost beside its content. */
export interface BodyLimits {
  /**
   * Bytes of chunk extensions that content has not paid for: every byte of content pays back one byte, so an endless
   * stream may sign each chunk, and a sender of one-byte chunks with long extensions is refused.
   */
  chunkExtensionBytes: number;
  /** Bytes of the trailer section with its empty line. */
  trailerBytes: number;
  /** Field lines in the trailer section. */
  trailerFields: number;
}

/**
 * 64 KiB of head: nginx takes 4 x 8 KiB, Node 16 KiB, Chromium 256 KiB; cookies of 4 KiB times a few dozen have to pass.
 * 256 fields: no known client sends more than 100, and look-ups walk the list. The longest registered method
 * ("UPDATEREDIRECTREF") has 17 bytes. A reason phrase is for people: 1 KiB.
 */
export const DEFAULT_HEAD_LIMITS: HeadLimits = {
  headBytes: 64 * 1024,
  fields: 256,
  targetBytes: 16 * 1024,
  methodBytes: 32,
  reasonBytes: 1024,
};

/** 16 KiB of unpaid extensions is what Node and Go take (CVE-2024-22019, CVE-2023-39326 came from having no limit). */
export const DEFAULT_BODY_LIMITS: BodyLimits = {
  chunkExtensionBytes: 16 * 1024,
  trailerBytes: 16 * 1024,
  trailerFields: 64,
};
