/**
 * How long the origin is waited for, in milliseconds. Each is kept to within {@link tickMs}: never early, that much
 * late.
 */
export interface OriginTimeouts {
  /** For a connection, TLS handshake included. */
  connectMs: number;
  /** For a connection, whether a busy one becomes free or one is made. */
  queueMs: number;
  /**
   * From the last octets of the request that were sent to the last byte of the final response's head. Informational
   * responses do not extend it.
   */
  headMs: number;
  /** Between two reads of a response's content. Does not run while the exchange is paused. */
  idleMs: number;
  /** How long a connection nobody uses is kept. An origin that says `Keep-Alive: timeout=` less gets less. */
  keepAliveMs: number;
}

/**
 * nginx waits 60 s each for connection, head and content. A connection that takes longer than 5 s has lost its SYN
 * three times. Node's server, the most common with a short one, closes after 5 s without use; 4 s is before that.
 */
export const DEFAULT_TIMEOUTS: OriginTimeouts = {
  connectMs: 5_000,
  queueMs: 10_000,
  headMs: 60_000,
  idleMs: 60_000,
  keepAliveMs: 4_000,
};

/** Milliseconds between two looks at the deadlines: an eighth of the shortest time-out, from 5 to 250. */
export function tickMs(timeouts: OriginTimeouts): number {
  return Math.min(250, Math.max(5, Math.floor(Math.min(...Object.values(timeouts)) / 8)));
}

/**
 * Time in ticks of an interval timer. A thread that was held up (a long callback, SIGSTOP) ticks once for all of that
 * time, so the bytes that waited for it meanwhile are read before anybody is given up. Setting a deadline is an
 * addition and asks no clock.
 */
export class Deadlines {
  readonly #tickMs: number;
  #tick = 0;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** The tick in which `ms` from now are surely over. */
  after(ms: number): number {
    return this.#tick + Math.ceil(ms / this.#tickMs) + 1;
  }

  isOver(deadline: number): boolean {
    return deadline <= this.#tick;
  }

  tick(): void {
    this.#tick++;
  }
}
