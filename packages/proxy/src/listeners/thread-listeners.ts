import { type Acceptor, type Listener, listen } from "./connection.ts";
import type { TlsListener } from "./tls.ts";
import type { TlsPair } from "./tls-pair.ts";

/** Descriptors of the sockets on which a thread is to accept; they are the main thread's. */
export interface ThreadSockets {
  readonly http: number;
  readonly getfile: number;
  /** Undefined without TLS. */
  readonly https: number | undefined;
}

/** What a thread accepts on: its own sockets, and now and then those of a thread in whose place it accepts. */
export class ThreadListeners {
  readonly #http: Acceptor;
  readonly #getfile: Acceptor;
  readonly #https: Acceptor;
  readonly #own: Listener[] = [];
  readonly #tls = new Set<TlsListener>();
  #pairs: readonly TlsPair[];

  /** @param pairs For TLS; none without. */
  constructor(acceptors: { http: Acceptor; getfile: Acceptor; https: Acceptor }, pairs: readonly TlsPair[]) {
    this.#http = acceptors.http;
    this.#getfile = acceptors.getfile;
    this.#https = acceptors.https;
    this.#pairs = pairs;
  }

  /**
   * Accepts on the thread's own.
   *
   * @throws {SystemCallError} `EMFILE`. {@link TlsPairError} One of the pairs is none.
   */
  async open({ http, getfile, https }: ThreadSockets): Promise<void> {
    this.#own.push(listen(http, this.#http), listen(getfile, this.#getfile));
    if (https !== undefined) this.#own.push(await this.#listenTls(https));
  }

  /**
   * Accepts on another thread's too, which goes on accepting there if it can.
   *
   * @param onRefused Told when that is not to be had for one of them (`EMFILE`).
   */
  standIn({ http, getfile, https }: ThreadSockets, onRefused: (error: unknown) => void): readonly Listener[] {
    const listeners: Listener[] = [];
    try {
      listeners.push(listen(http, this.#http));
      listeners.push(listen(getfile, this.#getfile));
    } catch (error) {
      onRefused(error);
    }
    if (https !== undefined) {
      const listening = this.#listenTls(https);
      listening.catch(onRefused);
      listeners.push({
        stop: () =>
          void listening.then(
            (listener) => listener.stop(),
            () => {},
          ),
      });
    }
    return listeners;
  }

  /** New TLS connections get these from now on. */
  use(pairs: readonly TlsPair[]): void {
    this.#pairs = pairs;
    for (const listener of this.#tls) listener.use(pairs);
  }

  /** No more on its own. */
  stop(): void {
    for (const listener of this.#own.splice(0)) listener.stop();
  }

  async #listenTls(socket: number): Promise<Listener> {
    const { listenTls } = await import("./tls.ts");
    const listener = await listenTls(socket, this.#pairs, this.#https);
    listener.use(this.#pairs); // they may have changed meanwhile
    this.#tls.add(listener);
    return {
      stop: () => {
        this.#tls.delete(listener);
        listener.stop();
      },
    };
  }
}
