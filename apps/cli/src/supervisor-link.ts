import {
  type ChildMessage,
  type ChildSettings,
  readSupervisorMessage,
  type SupervisorMessage,
} from "./child-message.ts";
import { messageOf } from "./command-error.ts";
import type { Serving } from "./serve-side.ts";

/** The channel to the supervisor, whose end is the supervisor's. */
export class SupervisorLink {
  readonly #gone = new AbortController();

  constructor() {
    if (process.connected !== true) this.#gone.abort();
    process.on("disconnect", () => this.#gone.abort());
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * What it has read for us. It is asked for, since a message that comes before somebody listens is lost.
   *
   * @param onWait Called when it will be told later: so many threads it may load meanwhile.
   */
  settings(onWait: (threads: number) => void = () => {}): Promise<ChildSettings> {
    const wanted = Promise.withResolvers<ChildSettings>();
    const listen = (value: unknown) => {
      const message = readSupervisorMessage(value);
      if (message?.type === "wait") onWait(message.threads);
      if (message?.type !== "settings") return;
      process.off("message", listen);
      wanted.resolve(message.settings);
    };
    process.on("message", listen);
    this.send({ type: "settings-wanted" });
    return wanted.promise;
  }

  /** Does what the supervisor says, and tells it what came of it. */
  obey(serving: Serving): void {
    serving.watchShared?.((status) => this.send({ type: "shared", status }));
    process.on("message", (value: unknown) => {
      const message = readSupervisorMessage(value);
      if (message?.type === "purge") this.#purge(serving, message);
      if (message?.type === "explain") this.#explain(serving, message);
      if (message?.type === "settings") this.#configure(serving, message);
    });
  }

  #explain(serving: Serving, { id, question }: Extract<SupervisorMessage, { type: "explain" }>): void {
    serving.explain?.(question).then(
      (outcome) => this.send({ type: "explained", id, outcome }),
      (error: unknown) => this.send({ type: "explained", id, outcome: { message: messageOf(error) } }),
    );
  }

  #purge(serving: Serving, { id, purge }: Extract<SupervisorMessage, { type: "purge" }>): void {
    serving.purge?.(purge).then(
      (count) => this.send({ type: "purged", id, outcome: count }),
      (error: unknown) => this.send({ type: "purged", id, outcome: { message: messageOf(error) } }),
    );
  }

  #configure(serving: Serving, { id, settings }: Extract<SupervisorMessage, { type: "settings" }>): void {
    serving.configure(settings).then(
      () => this.send({ type: "settings-used", id }),
      (error: unknown) => this.send({ type: "settings-used", id, fault: messageOf(error) }),
    );
  }

  send(message: ChildMessage): void {
    if (process.connected === true) process.send?.(message);
  }
}
