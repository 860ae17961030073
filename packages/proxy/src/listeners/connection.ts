import type { Socket } from "bun";
import type { DeliveryContext } from "../delivery.ts";
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

export type ClientSocket = Socket<Connection>;

export interface Listener {
  readonly port: number;
  /** Accepts no more; connections that are open go on until they are done. */
  stop(): void;
}

/**
 * Listens with `reusePort`, so that every thread of the process accepts on the same port.
 *
 * @param address.port 0 takes a free one.
 * @param limit Connections in `open` beyond which a new one is told `farewell` and closed.
 * @throws An error with code `EADDRINUSE` or `EACCES` as Bun.listen gives it.
 */
export function listen(
  address: { host: string; port: number },
  context: DeliveryContext,
  open: Set<Connection>,
  connect: (socket: ClientSocket) => Connection,
  limit: { connections: number; farewell: string },
): Listener {
  const { counters } = context;
  /** What it still sends is read and dropped until it closes, so that no reset eats the farewell. */
  const turnAway = (socket: ClientSocket) => {
    counters.add("connectionsRefused");
    socket.write(limit.farewell);
    socket.shutdown();
    socket.timeout(LINGER_TIMEOUT_S);
  };
  const options = { hostname: address.host, port: address.port, reusePort: true, allowHalfOpen: true };
  const server = Bun.listen<Connection>({
    ...options,
    socket: {
      open(socket) {
        counters.add("connectionsAccepted");
        if (open.size >= limit.connections) return turnAway(socket);
        const connection = connect(socket);
        socket.data = connection;
        open.add(connection);
        counters.set("connectionsOpen", open.size);
      },
      data: (socket, chunk) => socket.data?.received(chunk),
      drain: (socket) => socket.data?.drained(),
      end: (socket) => (socket.data === undefined ? void socket.end() : socket.data.halfClosed()),
      timeout: (socket) => (socket.data === undefined ? void socket.terminate() : socket.data.timedOut()),
      close(socket) {
        const connection = socket.data;
        if (connection === undefined || !open.delete(connection)) return;
        counters.set("connectionsOpen", open.size);
        connection.closed();
      },
      error: (socket) => socket.terminate(),
    },
  });
  return { port: server.port, stop: () => server.stop(false) };
}
