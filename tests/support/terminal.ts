/** A tmux of the test's own, with one window that runs a command. */
export class Terminal implements Disposable {
  readonly #socket = `webproxy-test-${process.pid}-${Math.random().toString(36).slice(2)}`;

  constructor(size: { columns: number; rows: number }, command: readonly string[]) {
    const quoted = command.map((word) => `'${word}'`).join(" ");
    this.#tmux(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      `${size.columns}`,
      "-y",
      `${size.rows}`,
      `${quoted}; echo "exit code $?"; cat`,
    );
  }

  get screen(): string[] {
    return this.#tmux("capture-pane", "-p").split("\n");
  }

  type(...keys: string[]): void {
    this.#tmux("send-keys", ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`);
  }

  [Symbol.dispose](): void {
    this.#tmux("kill-server");
  }

  #tmux(...args: string[]): string {
    const { stdout } = Bun.spawnSync(["tmux", "-L", this.#socket, ...args], {
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
    return stdout.toString();
  }
}
