import { withAllocatorSettings } from "./allocator.ts";
import { type ChildMessage, readChildMessage, type SupervisorMessage } from "./child-message.ts";

/** Who is told what a process says, and that it has ended. */
export interface ChildListener {
  onMessage(message: ChildMessage): void;
  onEnd(): void;
}

/**
 * A process of ours, from its start to its end. What it says before somebody listens is kept.
 *
 * It makes itself a process group of its own (run-supervised.ts), so that a terminal's Ctrl-C reaches its parent alone, which ends its children in the right order. It sees its parent's death as the end of
 * the channel between them.
 */
export class ChildProcess {
  readonly #process: Bun.Subprocess;
  readonly #unheard: ChildMessage[] = [];
  #listener: ChildListener | undefined;

  /**
   * @param inherited Descriptors that it inherits, as 3 and those that follow.
   * @throws {Error} The system has no room for another process.
   */
  constructor(command: string[], inherited: readonly number[] = []) {
    this.#process = Bun.spawn(command, {
      stdio: ["ignore", "inherit", "inherit", ...inherited],
      env: withAllocatorSettings(process.env),
      serialization: "json",
      ipc: (value) => {
        const message = readChildMessage(value);
        if (message === undefined) return;
        if (this.#listener === undefined) this.#unheard.push(message);
        else this.#listener.onMessage(message);
      },
    });
  }

  /** To be called once: what it has said so far is told at once. */
  listen(listener: ChildListener): void {
    this.#listener = listener;
    for (const message of this.#unheard.splice(0)) listener.onMessage(message);
    void this.exited.then(() => listener.onEnd());
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Settles when it has ended. */
  get exited(): Promise<unknown> {
    return this.#process.exited;
  }

  /** How it has ended, for a person to read. */
  get end(): string {
    const { signalCode, exitCode } = this.#process;
    return signalCode === null ? `ended with exit code ${exitCode}` : `was ended by ${signalCode}`;
  }

  /** Nothing happens when it has ended, of which its listener may not have heard yet. */
  send(message: SupervisorMessage): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.send(message);
  }

  /** Nothing happens when it has ended. */
  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }
}
