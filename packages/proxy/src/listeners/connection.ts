import type { Socket } from "bun";
import type { DeliveryContext } from "../delivery.ts";

/** One client connection, whatever it speaks: what its socket tells it. */
export interface Connection {
  received(chunk: Uint8Array): void;
  /** The kernel has room again. */
  drained(): void;
  /** The client sends no more; it may still read. */
  halfClosed(): void;
  closed(): void;
  timedOut(): void;
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
 * @param port 0 takes a free one.
 * @throws An error with code `EADDRINUSE` or `EACCES` as Bun.listen gives it.
 */
export function listen(
  address: { host: string; port: number },
  context: DeliveryContext,
  open: Set<Connection>,
  connect: (socket: ClientSocket) => Connection,
): Listener {
  const { counters } = context;
  const options = { hostname: address.host, port: address.port, reusePort: true, allowHalfOpen: true };
  const server = Bun.listen<Connection>({
    ...options,
    socket: {
      open(socket) {
        counters.add("connectionsAccepted");
        const connection = connect(socket);
        socket.data = connection;
        open.add(connection);
        counters.set("connectionsOpen", open.size);
      },
      data: (socket, chunk) => socket.data.received(chunk),
      drain: (socket) => socket.data.drained(),
      end: (socket) => socket.data.halfClosed(),
      timeout: (socket) => socket.data.timedOut(),
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
