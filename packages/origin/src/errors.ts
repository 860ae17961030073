/**
 * Why an exchange with the origin failed. Callers branch on this.
 *
 * - `ERR_ORIGIN_CONNECT`: no connection: refused, unreachable, no such host.
 * - `ERR_ORIGIN_TLS`: a connection, but no TLS session: a certificate that does not verify, a handshake that broke off.
 * - `ERR_ORIGIN_TIMEOUT`: one of {@link OriginTimeouts} ran out.
 * - `ERR_ORIGIN_CUT_SHORT`: the origin closed before its response was whole, or before it began.
 * - `ERR_ORIGIN_MALFORMED`: what came is no response that can be read in one way only.
 * - `ERR_ORIGIN_POOL_FULL`: every connection is busy, and so is the queue for them.
 * - `ERR_ORIGIN_CLOSED`: this client was closed.
 */
export type OriginErrorCode =
  | "ERR_ORIGIN_CONNECT"
  | "ERR_ORIGIN_TLS"
  | "ERR_ORIGIN_TIMEOUT"
  | "ERR_ORIGIN_CUT_SHORT"
  | "ERR_ORIGIN_MALFORMED"
  | "ERR_ORIGIN_POOL_FULL"
  | "ERR_ORIGIN_CLOSED";

/** An exchange that did not end whole. `cause` is the platform's error where there was one. */
export class OriginError extends Error {
  override readonly name = "OriginError";
  readonly code: OriginErrorCode;
  /**
   * Whether `onHead` had been called: then a part of the response may be on its way already and can only be broken
   * off.
   */
  readonly headSeen: boolean;

  /** With `ERR_ORIGIN_CONNECT`: what stood in the way, as far as the platform says. */
  get connectFailure(): "refused" | "no-such-host" | "unreachable" {
    const { cause } = this;
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ECONNREFUSED") return "refused";
    return code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "DNS_ENOTFOUND" ? "no-such-host" : "unreachable";
  }

  constructor(code: OriginErrorCode, message: string, options: { headSeen: boolean; cause?: Error | undefined }) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.headSeen = options.headSeen;
  }
}
