import { closeSync, openSync } from "node:fs";
import { cannotRun, errorCode } from "./command-error.ts";
import { Outlet } from "./outlet.ts";

const STANDARD_ERROR = 2;

/**
 * Where lines of a log go: standard error, or the end of a file. Written at once, so that nothing is lost when the process dies, but for what its reader does not take ({@link Outlet}).
 */
export class LogOutput {
  readonly #path: string | undefined;
  #fildes: number;
  #outlet: Outlet;

  /**
   * @param path Undefined: standard error. The file is made when it is not there, for its owner and group only.
   * @throws {CommandError} Exit code 1: the file can not be opened.
   */
  constructor(path?: string) {
    this.#path = path;
    this.#fildes = path === undefined ? STANDARD_ERROR : open(path);
    this.#outlet = new Outlet(this.#fildes);
  }

  /** Told later of lines that are missing, since whoever reads them did not go on. */
  set onLost(tell: (lines: number) => void) {
    this.#outlet.onLost = tell;
  }

  get isTerminal(): boolean {
    return this.#path === undefined && process.stderr.isTTY === true;
  }

  write(text: string): void {
    this.#outlet.write(text);
  }

  /**
   * Opens the file of this name anew: who rotates logs has given the one that is open another name.
   *
   * @throws {CommandError} It can not be opened; the old one goes on being written.
   */
  reopen(): void {
    if (this.#path === undefined) return;
    const fildes = open(this.#path);
    const { onLost } = this.#outlet;
    this.close();
    this.#fildes = fildes;
    this.#outlet = new Outlet(fildes);
    this.#outlet.onLost = onLost;
  }

  close(): void {
    this.#outlet.close();
    if (this.#path !== undefined) closeSync(this.#fildes);
  }
}

function open(path: string): number {
  try {
    return openSync(path, "a", 0o640);
  } catch (error) {
    throw cannotRun(
      `Cannot open the log ${path}: ${errorCode(error) ?? String(error)}; its folder has to be there, and this user has to be allowed to write to it`,
      error,
    );
  }
}
