/** What stands before a program that measures: it goes before others, where that is allowed, and does little. */
export const FIRST: readonly string[] = process.geteuid?.() === 0 ? ["nice", "-n", "-5"] : [];

/** A program of ours in a process of its own that is talked to by messages: one answer to each. */
export class Child<Answer> implements AsyncDisposable {
  readonly #process: Bun.Subprocess;
  #next = Promise.withResolvers<Answer>();

  /** @param wrap What stands before the program. */
  constructor(program: string, { args = [], wrap = [] }: { args?: readonly string[]; wrap?: readonly string[] } = {}) {
    this.#process = Bun.spawn([...wrap, process.execPath, program, ...args], {
      stdio: ["ignore", "inherit", "inherit"],
      serialization: "json",
      ipc: (message: Answer) => {
        this.#next.resolve(message);
      },
    });
    void this.#process.exited.then((code) => this.#next.reject(new Error(`${program} has ended with ${code}`)));
    this.#next.promise.catch(() => {});
  }

  /** What it says next. */
  async heard(): Promise<Answer> {
    const answer = await this.#next.promise;
    this.#next = Promise.withResolvers<Answer>();
    this.#next.promise.catch(() => {});
    return answer;
  }

  async ask(question: unknown): Promise<Answer> {
    this.#process.send(question);
    return await this.heard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
