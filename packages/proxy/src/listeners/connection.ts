import { type AcceptedHandler, closeParted, StreamListener, type StreamSocket } from "@proj/ipc";
import type { Counters, ProxyCounter } from "@proj/protocol";
import { LINGER_TIMEOUT_S } from "../limits.ts";

/** One client connection, whatever it speaks: what its socket tells it. */
export interface Connection {
  received(chunk: Uint8Array): void;
  /** The kernel has room again. */
  drained(): void;
  /** The client sends no more; it may still read. */
  halfClosed(): void;
  closed(): void;
  timedOut(): void;
  /** Another second is over. */
  tick?(): void;
  /** The process stops: nothing new is begun, what is open is finished. */
  stopping(): void;
}

/** What a connection needs of its socket; see StreamSocket of `@proj/ipc`. */
export interface ClientSocket {
  /** Undefined once it is closed. */
  readonly remoteAddress: string | undefined;
  /** Its descriptor; below 0 where it has none whose options could be set. */
  readonly fd: number;
  /**
   * Returns how many bytes were taken, below 0 when it is closed; the rest is to be written again once it has drained.
   *
   * @param isMore Something follows at once.
   */
  write(bytes: Uint8Array, isMore?: boolean): number;
  /** As `write`, of a file whose bytes stay as they are, without a copy; where the socket can. */
  sendFile?(fildes: number, position: number, length: number): number;
  timeout(seconds: number): void;
  pause(): void;
  resume(): void;
  end(): void;
  /** Ends it without taking from the client what it has not read yet; nothing more is told but that it is closed. */
  linger(seconds: number): void;
  terminate(): void;
}

/** Where a client is; an IPv4 address in its own form also on a socket that takes both kinds. */
export function clientAddress(socket: ClientSocket): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}

export interface Listener {
  /** Accepts no more; connections that are open go on until they are done. */
  stop(): void;
}

/** How many connections a thread has open at most; it may change. Who comes beyond is told {@link farewell} and closed. */
export interface ConnectionLimit {
  connections: number;
  farewell(): string;
}

/** Who takes the connections of one listener in: counts them, limits them, and knows which are open. */
export class Acceptor {
  readonly #open: Set<Connection>;
  readonly #counters: Counters<ProxyCounter>;
  readonly #connect: (socket: ClientSocket) => Connection;
  readonly #limit: ConnectionLimit;

  constructor(
    shared: { open: Set<Connection>; counters: Counters<ProxyCounter> },
    connect: (socket: ClientSocket) => Connection,
    limit: ConnectionLimit,
  ) {
    this.#open = shared.open;
    this.#counters = shared.counters;
    this.#connect = connect;
    this.#limit = limit;
  }

  /** Whether one may begin that is no connection yet, beside so many like it; counted where it may not. */
  mayBegin(others: number): boolean {
    if (this.#open.size + others < this.#limit.connections) return true;
    this.#counters.add("connectionsRefused");
    return false;
  }

  /** Undefined: it was turned away. */
  accept(socket: ClientSocket): Connection | undefined {
    this.#counters.add("connectionsAccepted");
    if (this.#open.size >= this.#limit.connections) closeParted();
    if (this.#open.size >= this.#limit.connections) {
      this.#counters.add("connectionsRefused");
      socket.write(Buffer.from(this.#limit.farewell(), "latin1"));
      socket.linger(LINGER_TIMEOUT_S);
      return undefined;
    }
    const connection = this.#connect(socket);
    this.#open.add(connection);
    this.#counters.set("connectionsOpen", this.#open.size);
    return connection;
  }

  closed(connection: Connection | undefined): void {
    if (connection === undefined || !this.#open.delete(connection)) return;
    this.#counters.set("connectionsOpen", this.#open.size);
    connection.closed();
  }
}

/**
 * Accepts on a socket that listens.
 *
 * @param fd It stays the caller's.
 * @throws {SystemCallError} `EMFILE`.
 */
export function listen(fd: number, acceptor: Acceptor): Listener {
  return StreamListener.accept(fd, () => new Client(acceptor));
}

/** What a client's socket tells goes to its connection; of who was turned away, nothing goes anywhere. */
class Client implements AcceptedHandler {
  readonly #acceptor: Acceptor;
  #connection: Connection | undefined;

  constructor(acceptor: Acceptor) {
    this.#acceptor = acceptor;
  }

  opened(socket: StreamSocket): void {
    this.#connection = this.#acceptor.accept(socket);
  }

  received(chunk: Uint8Array): void {
    this.#connection?.received(chunk);
  }

  drained(): void {
    this.#connection?.drained();
  }

  halfClosed(): void {
    this.#connection?.halfClosed();
  }

  timedOut(): void {
    this.#connection?.timedOut();
  }

  closed(): void {
    this.#acceptor.closed(this.#connection);
  }
}
