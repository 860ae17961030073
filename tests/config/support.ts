import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A config file of the test's own, which can be another from one moment to the next. */
export class ConfigFile implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "webproxy-config-"));
  readonly path = join(this.#directory, "webproxy.config.json");

  constructor(config: object) {
    this.write(config);
  }

  write(config: object): void {
    this.writeText(JSON.stringify(config));
  }

  /** By a rename, so that nobody reads half of it. */
  writeText(text: string): void {
    const file = join(this.#directory, "new");
    writeFileSync(file, text);
    renameSync(file, this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}
