import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * A TCP relay that holds back what passes, half of `delayMs` in each direction: a link with that round-trip time. In the place of netem, which not every kernel
 * has.
 */
export class DelayedRelay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number, delayMs: number) {
    this.#server = createServer({ noDelay: true }, (client) => {
      const server = connect({ port: target, host: "127.0.0.1", noDelay: true });
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from);
        from.on("error", () => to.destroy());
        from.on("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.on("data", (chunk) => {
          if (delayMs === 0) to.write(chunk);
          else setTimeout(() => to.write(chunk), delayMs / 2);
        });
      }
    });
  }

  static async start(target: number, delayMs: number): Promise<DelayedRelay> {
    const relay = new DelayedRelay(target, delayMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    relay.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
