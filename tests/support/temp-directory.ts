import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory of the test's own, removed with all it holds at the end of the scope. */
export class TempDirectory implements Disposable {
  readonly path: string;

  constructor(options: { mode?: number } = {}) {
    this.path = mkdtempSync(join(tmpdir(), "webproxy-test-"));
    if (options.mode !== undefined) chmodSync(this.path, options.mode);
  }

  file(...names: string[]): string {
    return join(this.path, ...names);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
