import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP relay to a port of the loopback, which can be cut: what is sent then goes nowhere, in either direction, and nobody is told. */
export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #isCut = false;
  #unanswered: string | undefined;

  private constructor(target: number) {
    this.#server = createServer((client) => {
      const server = connect(target, "127.0.0.1");
      const pair = [client, server] as const;
      this.#pairs.add(pair);
      const end = () => {
        client.destroy();
        server.destroy();
        this.#pairs.delete(pair);
      };
      let isUnanswered = false;
      client.on("data", (chunk) => {
        if (this.#unanswered !== undefined && chunk.includes(this.#unanswered)) isUnanswered = true;
      });
      for (const [from, to] of [pair, [server, client]] as const) {
        from.on("error", end);
        from.on("close", end);
        from.on("data", (chunk) => {
          if (!this.#isCut && !(isUnanswered && from === server)) to.write(chunk);
        });
      }
    });
  }

  static async start(target: number): Promise<Relay> {
    const relay = new Relay(target);
    const { promise, resolve } = Promise.withResolvers<void>();
    relay.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#isCut = true;
  }

  /** What comes back is lost on each connection over which `text` is sent from now on; undefined: on no further ones. */
  loseAnswersTo(text: string | undefined): void {
    this.#unanswered = text;
  }

  /** Octets of what was under way are lost, so that those connections end now. */
  heal(): void {
    for (const [client, server] of [...this.#pairs]) {
      client.destroy();
      server.destroy();
    }
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    this.#server.close();
  }
}
