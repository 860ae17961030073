import { limitSendBuffer } from "@proj/ipc";
import type { Counters, ProxyCounter } from "@proj/protocol";
import { LINGER_TIMEOUT_S, NEAR_US, SEND_BUFFER_BYTES } from "../limits.ts";

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

/** What a connection needs of its socket; see Bun's Socket. */
export interface ClientSocket {
  /** Undefined once it is closed. */
  readonly remoteAddress: string | undefined;
  /** Its descriptor; below 0 where it has none whose options could be set. */
  readonly fd: number;
  /** Returns how many bytes were taken, below 0 when it is closed; the rest is to be written again once it has drained. */
  write(bytes: Uint8Array): number;
  timeout(seconds: number): void;
  pause(): void;
  resume(): void;
  end(): void;
  shutdown(): void;
  terminate(): void;
}

/** Where a client is; an IPv4 address in its own form also on a socket that takes both kinds. */
export function clientAddress(socket: ClientSocket): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}

/**
 * A body is about to be written: what the kernel may hold of it is bounded, if that is less and the client is near.
 *
 * @param bodyBytes Undefined: nobody knows.
 * @returns Whether that has been settled, for all bodies to come too.
 */
export function boundSendBuffer(socket: ClientSocket, bodyBytes: number | undefined): boolean {
  if (bodyBytes !== undefined && bodyBytes <= SEND_BUFFER_BYTES) return false;
  limitSendBuffer(socket.fd, SEND_BUFFER_BYTES, NEAR_US);
  return true;
}

export interface Listener {
  readonly port: number;
  /** Of the socket that listens; undefined where it is not to be had. */
  readonly fd?: number;
  /** Accepts no more; connections that are open go on until they are done. */
  stop(): void;
}

/** How many connections a thread has open at most; it may change. Who comes beyond is told `farewell` and closed. */
export interface ConnectionLimit {
  connections: number;
  readonly farewell: Uint8Array;
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

  /** Undefined: it was turned away. What it still sends is to be read and dropped until it closes, so that no reset eats the farewell. */
  accept(socket: ClientSocket): Connection | undefined {
    this.#counters.add("connectionsAccepted");
    if (this.#open.size >= this.#limit.connections) {
      this.#counters.add("connectionsRefused");
      socket.write(this.#limit.farewell);
      socket.shutdown();
      socket.timeout(LINGER_TIMEOUT_S);
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
 * Listens with `reusePort`, so that every thread of the process accepts on the same port.
 *
 * @param address.port 0 takes a free one.
 * @throws An error with code `EADDRINUSE` or `EACCES` as Bun.listen gives it.
 */
export function listen(address: { host: string; port: number }, acceptor: Acceptor): Listener {
  const options = { hostname: address.host, port: address.port, reusePort: true, allowHalfOpen: true };
  const server = Bun.listen<Connection | undefined>({
    ...options,
    socket: {
      open(socket) {
        socket.data = acceptor.accept(socket as typeof socket & { fd: number });
      },
      data: (socket, chunk) => socket.data?.received(chunk),
      drain: (socket) => socket.data?.drained(),
      end: (socket) => (socket.data === undefined ? void socket.end() : socket.data.halfClosed()),
      timeout: (socket) => (socket.data === undefined ? void socket.terminate() : socket.data.timedOut()),
      close: (socket) => acceptor.closed(socket.data),
      error: (socket) => socket.terminate(),
    },
  });
  const { fd } = server as typeof server & { fd: number };
  return { port: server.port, fd, stop: () => server.stop(false) };
}
