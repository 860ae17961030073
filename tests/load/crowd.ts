import type { Socket } from "bun";
import type { Address } from "../support/address.ts";

/** Connections are opened so many at a time: a listener's backlog holds no more. */
const AT_ONCE = 256;

/** Opens `count` connections and keeps them; what is sent on each is up to `greeting`. Disposing closes all. */
export async function crowd(
  address: Address,
  count: number,
  greeting = "",
): Promise<{ open: () => number } & Disposable> {
  const sockets = new Set<Socket>();
  const connect = async () => {
    await Bun.connect({
      hostname: address.host,
      port: address.port,
      socket: {
        open(socket) {
          sockets.add(socket);
          if (greeting !== "") socket.write(greeting);
        },
        data() {},
        close: (socket) => void sockets.delete(socket),
        error: (socket) => void sockets.delete(socket),
      },
    });
  };
  for (let left = count; left > 0; left -= AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, connect));
  return {
    open: () => sockets.size,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.terminate();
    },
  };
}

/** Connects and closes `count` times, every other time by a reset. Returns how many connections were not accepted. */
export async function connectAndClose(address: Address, count: number, atOnce = 64): Promise<number> {
  let left = count;
  let refused = 0;
  const one = async () => {
    while (left > 0) {
      const byReset = left-- % 2 === 0;
      try {
        const closed = Promise.withResolvers<void>();
        const socket = await Bun.connect({
          hostname: address.host,
          port: address.port,
          socket: { data() {}, close: () => closed.resolve(), error: () => closed.resolve() },
        });
        if (byReset) socket.terminate();
        else socket.end();
        await closed.promise;
      } catch {
        refused++;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return refused;
}
