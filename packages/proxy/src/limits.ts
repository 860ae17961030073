import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "@proj/protocol/process";

/** How long the peer may take nothing of what it asked for before its connection is reset. */
export const SEND_TIMEOUT_S = 60;
/** How long a GETFILE connection stays half-closed for the client to close first: a reset would eat the tail. */
export const LINGER_TIMEOUT_S = 5;
/** Bytes of requests that wait behind the one being answered; beyond it the connection is not read. */
export const PIPELINE_BYTES_MAX = 128 * 1024;
/**
 * What the kernel holds of a large body for a client that is near (no farther than {@link NEAR_US}): more than that leaves the processor's caches before the client reads it.
 * docs/performance.md has the figures.
 */
export const SEND_BUFFER_BYTES = 256 * 1024;
/**
 * The largest body of which a client on this machine is sent the pages themselves: to read more of them than the caches hold takes it longer than to read copies that were just made, in a buffer that stays there. One that
 * is elsewhere is always sent the pages, which no processor reads then. docs/performance.md has the figures.
 */
export const REFERRED_BYTES_MAX = 1024 * 1024;
/** A round trip in microseconds within which {@link SEND_BUFFER_BYTES} are still 256 MB/s for each connection. */
export const NEAR_US = 1000;
/** How often a thread looks at its connections for what takes too long. */
export const TICK_MS = 1000;
/** The window over which a request's content has to keep its rate: pauses of a second are normal, of this long not. */
export const CONTENT_RATE_WINDOW_S = 20;

/** How long a TLS handshake may take. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** What one client may cost a thread: time, connections, bytes of heads. */
export interface ClientLimits {
  /** From the first byte of a head to its last (RFC 9110 section 15.5.9: 408). */
  readonly headTimeoutMs: number;
  /** Between two requests of one connection. */
  readonly idleTimeoutMs: number;
  /** Bytes per second of a request's content, over {@link CONTENT_RATE_WINDOW_S}; 0: any. Does not count while we do not read. */
  readonly contentRateMin: number;
  /** How long a tunnel (WebSocket) may be silent in both directions. */
  readonly tunnelIdleMs: number;
  /** Client connections of one thread; those beyond get a 503 and are closed. */
  readonly connections: number;
  readonly head: HeadLimits;
}

/**
 * 10 s for a head and 60 s between requests are what nginx and Apache come to in practice (60 s, 20-40 s; 75 s, 5 s). 500 bytes/s is Apache's
 * mod_reqtimeout. WebSocket peers ping every 20 to 60 s; one that says nothing for an hour is gone. An open connection costs about 4 KiB here, so
 * 16,384 of them are 64 MiB of a thread; the descriptor limit of the process (ulimit -n) may be lower.
 */
export const DEFAULT_CLIENT_LIMITS: ClientLimits = {
  headTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  contentRateMin: 500,
  tunnelIdleMs: 3_600_000,
  connections: 16_384,
  head: DEFAULT_HEAD_LIMITS,
};
