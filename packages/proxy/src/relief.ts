import type { StalledThreads } from "@proj/process";
import type { Listener } from "./listeners/connection.ts";

/**
 * Accepts in the place of threads of the same process that hang. The kernel goes on handing connections to the sockets of such a thread, and they would wait until it goes on, or
 * until the process is replaced; the threads that are well find them on the same sockets. When it goes on it has its sockets to itself again.
 */
export class Relief {
  readonly #own: number;
  readonly #watch: StalledThreads;
  readonly #standIn: (thread: number) => readonly Listener[];
  readonly #taken = new Map<number, readonly Listener[]>();

  /** @param standIn Accepts what comes for that thread, until the listeners are stopped. */
  constructor(own: number, watch: StalledThreads, standIn: (thread: number) => readonly Listener[]) {
    this.#own = own;
    this.#watch = watch;
    this.#standIn = standIn;
  }

  /** Looks whether the others are well; to be called every {@link HEARTBEAT_MS}. */
  look(words: Int32Array, nowMs: number): void {
    const { fallen, risen } = this.#watch.look(words, nowMs);
    for (const thread of fallen) if (thread !== this.#own) this.#taken.set(thread, this.#standIn(thread));
    for (const thread of risen) this.#giveBack(thread);
  }

  stop(): void {
    for (const thread of [...this.#taken.keys()]) this.#giveBack(thread);
  }

  #giveBack(thread: number): void {
    for (const listener of this.#taken.get(thread) ?? []) listener.stop();
    this.#taken.delete(thread);
  }
}
