/**
 * A message that must not be acted upon: the sender broke the grammar, or said something that two readers could take in
 * two ways. It is a value, not an exception: the connection that carried it answers (requests) or fails the exchange
 * (responses), then closes, because nobody knows any more where the next message starts (RFC 9112 section 9.2 and 11.2).
 */
export interface Malformed {
  kind: "malformed";
  /** A stable slug such as `"bare-lf"`: for logs, counters and tests; never the sender's own bytes. */
  reason: string;
  /**
   * What a server answers before it closes: 400, 413, 414, 431, 501 or 505. A gateway answers 502 to its own client when an
   * origin's response is malformed, whatever is here: the head scanner and the body decoder do not know whose bytes they read.
   */
  status: number;
}

/** A {@link Malformed} with this slug and status. */
export function malformed(reason: string, status = 400): Malformed {
  return { kind: "malformed", reason, status };
}
