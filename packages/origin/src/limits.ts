/** How much one client takes from its thread and asks of the origin. */
export interface OriginLimits {
  /** Connections at once, those being made included, and without those that have become tunnels: a tunnel is its client's for as long as that wants. */
  connections: number;
  /** Connections kept open without use. */
  idleConnections: number;
  /** Exchanges that wait for a connection. Those beyond fail at once, so that overload shows instead of piling up. */
  waitingExchanges: number;
}

/**
 * Each thread has its own client, so that the origin sees this many times the threads. A request has a connection for as long as it takes, whoever slows it down: 128 clients that send
 * as slowly as they may would leave none for anybody else. An idle one costs the origin a file descriptor, rarely more, and is closed after
 * {@link OriginTimeouts.keepAliveMs} without use.
 */
export const DEFAULT_LIMITS: OriginLimits = { connections: 1_024, idleConnections: 128, waitingExchanges: 4_096 };

/** Origins that one request is sent to before it has failed: a request that makes an origin fail does not go round all of them. */
export const ATTEMPTS_MAX = 3;

/**
 * Informational responses before the final one: 100, a few 102, some 103. More is a peer that never comes to the
 * point.
 */
export const INFORMATIONAL_RESPONSES_MAX = 32;

/**
 * Milliseconds a connection rests after a response that has no content, announces none, and is one of those that some
 * origins send content with all the same (to HEAD; 204, 304). Such content comes right behind the head: it then closes
 * the connection instead of answering the next request. Where the head announces content (`ReadHead.mayBeFollowed`) no
 * time would be long enough, and the connection is not used again.
 */
export const REST_MS = 20;
