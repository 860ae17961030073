import type { ClosedOutcome } from "./connection.ts";
import { codeOf, type OriginErrorCode, type OriginFault } from "./errors.ts";
import type { Carrier, Exchange } from "./exchange.ts";
import type { FormerHead } from "./former-head.ts";
import type { OriginLimits } from "./limits.ts";
import { type OriginAddress, OriginSocket, type SocketOwner } from "./origin-socket.ts";
import { Deadlines, type OriginTimeouts, tickMs } from "./timeouts.ts";

/** What a pool has done and holds. The first four are gauges, the others only grow. */
export interface PoolStats {
  connections: number;
  idleConnections: number;
  connecting: number;
  waitingExchanges: number;
  connectionsMade: number;
  exchanges: number;
  /** Exchanges sent on a connection that had carried another. */
  reuses: number;
  /** Exchanges sent a second time, because a reused connection closed before it answered. */
  retries: number;
  errors: Partial<Record<OriginErrorCode, number>>;
}

/**
 * The connections to one origin and the exchanges that wait for one. An exchange takes the idle connection that was
 * used last (the likeliest to be open still); when there is none, the next that becomes free or is made, first come,
 * first served.
 */
export class ConnectionPool implements SocketOwner, Carrier {
  readonly timeouts: OriginTimeouts;
  readonly deadlines: Deadlines;
  formerHead: FormerHead | undefined;
  readonly #address: OriginAddress;
  readonly #limits: OriginLimits;
  readonly #tickMs: number;
  readonly #sockets = new Set<OriginSocket>();
  readonly #idle: OriginSocket[] = [];
  readonly #waiting = new Set<Exchange>();
  /** They need a connection that was never used. */
  readonly #retrying = new Set<Exchange>();
  readonly #connecting = new Set<OriginSocket>();
  readonly #tunnels = new Set<OriginSocket>();
  /** Attempts given up that the kernel is still at. They hold a descriptor each, so they count as connections. */
  #halfMade = 0;
  #timer: Timer | undefined;
  #isClosed = false;
  #connectionsMade = 0;
  #exchanges = 0;
  #reuses = 0;
  #retries = 0;
  readonly #errors: PoolStats["errors"] = {};

  constructor(address: OriginAddress, limits: OriginLimits, timeouts: OriginTimeouts) {
    this.#address = address;
    this.#limits = limits;
    this.timeouts = timeouts;
    this.#tickMs = tickMs(timeouts);
    this.deadlines = new Deadlines(this.#tickMs);
  }

  /** Sends the exchange's request as soon as there is a connection. Handlers are not called before this returns. */
  send(exchange: Exchange): void {
    this.#exchanges++;
    exchange.moveTo(this);
    if (this.#isClosed) {
      this.#failLater(exchange, "cancelled", CLIENT_CLOSED);
      return;
    }
    const socket = this.#idle.pop();
    if (socket !== undefined) {
      this.#start(socket, exchange);
      return;
    }
    if (this.#waiting.size < this.#limits.waitingExchanges) {
      this.#wait(exchange, this.#waiting);
      return;
    }
    this.#failLater(exchange, "origin-busy", `${this.#waiting.size} requests wait for a connection already`);
  }

  /** Takes away the exchanges that wait for a connection: they are another pool's from here on. */
  takeWaiting(): readonly Exchange[] {
    const waiting = [...this.#retrying, ...this.#waiting];
    for (const exchange of waiting) this.drop(exchange);
    return waiting;
  }

  stats(): PoolStats {
    return {
      connections: this.#sockets.size + this.#halfMade,
      idleConnections: this.#idle.length,
      connecting: this.#connecting.size + this.#halfMade,
      waitingExchanges: this.#waiting.size + this.#retrying.size,
      connectionsMade: this.#connectionsMade,
      exchanges: this.#exchanges,
      reuses: this.#reuses,
      retries: this.#retries,
      errors: { ...this.#errors },
    };
  }

  /** Fails what is under way and closes all connections. */
  close(): void {
    this.#isClosed = true;
    for (const exchange of [...this.#retrying, ...this.#waiting]) {
      this.drop(exchange);
      this.#fail(exchange, "cancelled", CLIENT_CLOSED, false);
    }
    for (const socket of [...this.#sockets]) socket.shutDown(CLIENT_CLOSED);
  }

  // ---- what sockets report

  ready(socket: OriginSocket): void {
    this.#connecting.delete(socket);
    const exchange = (socket.isFresh ? first(this.#retrying) : undefined) ?? first(this.#waiting);
    if (exchange !== undefined) {
      this.drop(exchange);
      this.#start(socket, exchange);
      return;
    }
    socket.park(this.deadlines.after(socket.keepAliveMs));
    this.#idle.push(socket);
    if (this.#idle.length > this.#limits.idleConnections) this.#idle[0]?.abandon();
  }

  closed(socket: OriginSocket, outcome: ClosedOutcome, exchange: Exchange | undefined, cause: Error | undefined): void {
    this.#sockets.delete(socket);
    this.#connecting.delete(socket);
    this.#tunnels.delete(socket);
    if (socket.isHalfMade) this.#halfMade++;
    const idleIndex = this.#idle.indexOf(socket);
    if (idleIndex !== -1) this.#idle.splice(idleIndex, 1);
    if (outcome.kind === "stale" && exchange !== undefined) this.#retryOrFail(exchange, cause);
    if (outcome.kind === "failed") this.#failFor(outcome, exchange, cause);
    this.#connectAsNeeded();
    this.#stopTimerWhenUnused();
  }

  tunnelled(socket: OriginSocket): void {
    this.#tunnels.add(socket);
    this.#connectAsNeeded();
  }

  forgotten(): void {
    this.#halfMade--;
    this.#connectAsNeeded();
    this.#stopTimerWhenUnused();
  }

  // ---- Carrier: what a waiting exchange asks for

  pause(): void {} // nothing is read for it yet; the connection it gets is told

  resume(): void {}

  write(exchange: Exchange, bytes: Uint8Array): boolean {
    exchange.keepEarly(bytes);
    return false;
  }

  endTunnel(): void {} // no exchange is a tunnel before it has had a connection

  drop(exchange: Exchange): void {
    this.#waiting.delete(exchange);
    this.#retrying.delete(exchange);
  }

  #start(socket: OriginSocket, exchange: Exchange): void {
    if (!socket.isFresh) this.#reuses++;
    socket.start(exchange);
  }

  #wait(exchange: Exchange, queue: Set<Exchange>): void {
    exchange.moveTo(this);
    exchange.queueDeadline = this.deadlines.after(this.timeouts.queueMs);
    queue.add(exchange);
    this.#startTimer();
    this.#connectAsNeeded();
  }

  /**
   * As many connections in the making as exchanges wait, within the limit. A retry takes the place of the connection
   * that failed it.
   */
  #connectAsNeeded(): void {
    while (this.#connecting.size < this.#waiting.size + this.#retrying.size) {
      if (this.#sockets.size - this.#tunnels.size + this.#halfMade >= this.#limits.connections) return;
      const socket = new OriginSocket(this.#address, this);
      this.#sockets.add(socket);
      this.#connecting.add(socket);
      this.#connectionsMade++;
      this.#startTimer();
    }
  }

  #retryOrFail(exchange: Exchange, cause: Error | undefined): void {
    if (!exchange.mayBeRetried || this.#isClosed) {
      const reason = "the origin closed a connection that it had kept open, as the request was sent";
      this.#fail(exchange, "origin-closed", reason, false, cause);
      return;
    }
    this.#retries++;
    exchange.isRetry = true;
    this.#wait(exchange, this.#retrying);
  }

  /** A connection that failed in the making fails the exchange that has waited longest: one of them is short of it. */
  #failFor(outcome: Extract<ClosedOutcome, { kind: "failed" }>, exchange: Exchange | undefined, cause?: Error): void {
    const failing = exchange ?? first(this.#retrying) ?? first(this.#waiting);
    if (failing === undefined) return;
    this.drop(failing);
    this.#fail(failing, outcome.fault, outcome.reason, outcome.headSeen, cause);
  }

  #failLater(exchange: Exchange, fault: OriginFault, reason: string): void {
    queueMicrotask(() => {
      if (!exchange.isOver) this.#fail(exchange, fault, reason, false);
    });
  }

  #fail(exchange: Exchange, fault: OriginFault, reason: string, headSeen: boolean, cause?: Error): void {
    const code = codeOf(fault);
    this.#errors[code] = (this.#errors[code] ?? 0) + 1;
    exchange.fail({ fault, reason, headSeen, cause });
  }

  #startTimer(): void {
    this.#timer ??= setInterval(() => this.#lookAtDeadlines(), this.#tickMs).unref();
  }

  #stopTimerWhenUnused(): void {
    if (this.#sockets.size + this.#waiting.size + this.#retrying.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #lookAtDeadlines(): void {
    this.deadlines.tick();
    for (const socket of this.#sockets) {
      if (socket.deadline !== undefined && this.deadlines.isOver(socket.deadline)) socket.timeOut();
    }
    this.#failOverdue(this.#retrying);
    this.#failOverdue(this.#waiting);
  }

  /** All of a queue wait equally long, so the first that may go on waiting is followed by none that may not. */
  #failOverdue(queue: Set<Exchange>): void {
    for (const exchange of queue) {
      if (!this.deadlines.isOver(exchange.queueDeadline)) return;
      this.drop(exchange);
      this.#fail(exchange, "origin-busy", "no connection became free in time", false);
    }
  }
}

/** As one pool. */
export function sumOf([first, ...others]: readonly PoolStats[]): PoolStats {
  const sum: PoolStats = { ...first!, errors: { ...first!.errors } };
  for (const { errors, ...counts } of others) {
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) sum[name] += counts[name];
    for (const code of Object.keys(errors) as OriginErrorCode[])
      sum.errors[code] = (sum.errors[code] ?? 0) + (errors[code] ?? 0);
  }
  return sum;
}

const CLIENT_CLOSED = "this client was closed";

function first<T>(set: ReadonlySet<T>): T | undefined {
  for (const member of set) return member;
  return undefined;
}
