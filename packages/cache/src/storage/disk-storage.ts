import { mkdirSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { StoredResponse } from "../stored-response.ts";
import { BodyFile } from "./body-file.ts";
import { ResponseTable } from "./response-table.ts";
import type { Storage } from "./storage.ts";

/** No body may take more than this part of the disk tier. */
const BODY_SHARE = 4;
/** Body files of this store, and nothing else in the directory, are ever removed. */
const BODY_FILE = /^[0-9a-z]+\.body$/;

/**
 * The disk tier of one shard: a file for each body, in a directory that this shard has for itself. The index is in memory, so
 * bodies that a former life left behind are removed at the start.
 */
export class DiskStorage implements Storage {
  readonly bodyBytesMax: number;
  readonly #directory: string;
  readonly #table: ResponseTable;
  readonly #onFault: (error: Error) => void;
  #nextFile = 0;

  /**
   * @param directory Made with mode 0700 when it is not there.
   * @throws The error of `mkdir`, `opendir` or `unlink` when the directory can not be made or emptied.
   */
  constructor(directory: string, limitBytes: number, onEvict: () => void, onFault: (error: Error) => void) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory)) if (BODY_FILE.test(name)) unlinkSync(join(directory, name));
    this.#directory = directory;
    this.#table = new ResponseTable(limitBytes, onEvict);
    this.#onFault = onFault;
    this.bodyBytesMax = Math.floor(limitBytes / BODY_SHARE);
  }

  get limitBytes(): number {
    return this.#table.limitBytes;
  }
  get usedBytes(): number {
    return this.#table.usedBytes;
  }
  get count(): number {
    return this.#table.count;
  }

  newBody(): BodyFile | undefined {
    const path = join(this.#directory, `${(this.#nextFile++).toString(36)}.body`);
    try {
      return new BodyFile(path, this.#table, this.#onFault);
    } catch (error) {
      this.#onFault(error as Error);
      return undefined;
    }
  }

  lookup(key: string): readonly StoredResponse[] {
    return this.#table.lookup(key);
  }

  entries(): Iterable<StoredResponse> {
    return this.#table.entries();
  }

  has(response: StoredResponse): boolean {
    return this.#table.has(response);
  }

  touch(response: StoredResponse, uses: number): void {
    this.#table.touch(response, uses);
  }

  renewed(response: StoredResponse): void {
    this.#table.renewed(response);
  }

  store(response: StoredResponse): boolean {
    if (this.#table.insert(response)) return true;
    response.body.discard();
    return false;
  }

  invalidate(key: string, response?: StoredResponse): number {
    return this.#table.invalidate(key, response);
  }

  close(): void {
    this.#table.clear();
    try {
      rmdirSync(this.#directory);
    } catch {
      // Somebody keeps a file of his own in there: it stays, and so does the directory.
    }
  }
}
