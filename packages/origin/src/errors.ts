import type { Malformed, Refusal } from "@proj/protocol";

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

/** The code of each way to fail: as fine as clients are told it (RFC 9209 section 2.3), by the name that the channel has for it. */
const CODE_OF = {
  /** No connection, for a reason that has no name of its own. */
  "origin-error": "ERR_ORIGIN_CONNECT",
  "origin-refused": "ERR_ORIGIN_CONNECT",
  /** The resolver says that there is no such name, or can not tell. */
  "origin-unknown": "ERR_ORIGIN_CONNECT",
  /** No name server has answered. */
  "origin-unresolved": "ERR_ORIGIN_CONNECT",
  "origin-unroutable": "ERR_ORIGIN_CONNECT",
  "origin-unconnected": "ERR_ORIGIN_TIMEOUT",
  "origin-tls": "ERR_ORIGIN_TLS",
  "origin-certificate": "ERR_ORIGIN_TLS",
  "origin-alert": "ERR_ORIGIN_TLS",
  /** No whole head in time. */
  "origin-timeout": "ERR_ORIGIN_TIMEOUT",
  /** It stopped within its content. */
  "origin-stalled": "ERR_ORIGIN_TIMEOUT",
  /** It closed without a word. */
  "origin-closed": "ERR_ORIGIN_CUT_SHORT",
  "cut-short": "ERR_ORIGIN_CUT_SHORT",
  "origin-malformed": "ERR_ORIGIN_MALFORMED",
  "origin-head-size": "ERR_ORIGIN_MALFORMED",
  "origin-coding": "ERR_ORIGIN_MALFORMED",
  "origin-busy": "ERR_ORIGIN_POOL_FULL",
  cancelled: "ERR_ORIGIN_CLOSED",
} as const satisfies Partial<Record<Refusal, OriginErrorCode>>;

/** A way to fail. */
export type OriginFault = keyof typeof CODE_OF;

/** An exchange that did not end whole. `cause` is the platform's error where there was one. */
export class OriginError extends Error {
  override readonly name = "OriginError";
  readonly fault: OriginFault;
  /**
   * Whether `onHead` had been called: then a part of the response may be on its way already and can only be broken
   * off.
   */
  readonly headSeen: boolean;

  constructor(fault: OriginFault, message: string, options: { headSeen: boolean; cause?: Error | undefined }) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.fault = fault;
    this.headSeen = options.headSeen;
  }

  get code(): OriginErrorCode {
    return CODE_OF[this.fault];
  }
}

export function codeOf(fault: OriginFault): OriginErrorCode {
  return CODE_OF[fault];
}

/** The shortest time that a resolver waits for a name server: resolv.conf(5) counts in seconds. */
const RESOLVER_TIMEOUT_MS = 1_000;

/**
 * What stood in the way of a connection, as far as the platform says: Bun 1.4.5 says ECONNREFUSED of networks and hosts without a route too.
 *
 * @param tookMs How long the attempt had been going on. EAI_AGAIN is said of a name server that fails and of one that is silent; of the latter not at once.
 */
export function connectFault(error: Error, tookMs: number): OriginFault {
  switch ("code" in error ? error.code : undefined) {
    case "ECONNREFUSED":
      return "origin-refused";
    case "ENETUNREACH":
    case "EHOSTUNREACH":
      return "origin-unroutable";
    case "ETIMEDOUT":
      return "origin-unconnected";
    case "EAI_AGAIN":
      return tookMs < RESOLVER_TIMEOUT_MS ? "origin-unknown" : "origin-unresolved";
    case "ENOTFOUND":
    case "DNS_ENOTFOUND":
      return "origin-unknown";
    default:
      return "origin-error";
  }
}

/** Why there is no TLS session: the platform's errors of verification have codes of OpenSSL's, of the protocol EPROTO with BoringSSL's words. */
export function tlsFault(error: Error | null): OriginFault {
  const code = error !== null && "code" in error ? error.code : undefined;
  if (code === undefined || code === "EPROTO")
    return error?.message.includes("_ALERT_") ? "origin-alert" : "origin-tls";
  return "origin-certificate";
}

/** What is wrong with a response that was refused for `reason`. */
export function responseFault({ reason }: Malformed): OriginFault {
  if (reason === "head-too-large" || reason === "too-many-fields") return "origin-head-size";
  return reason.startsWith("transfer-") ? "origin-coding" : "origin-malformed";
}
