import { FILE_SYSTEM, type FileSystem } from "./file-system.ts";

/** For tests: the real file system on a disk where nothing that is in files is at hand, and what another thread does ends when the test lets it. */
export class SlowFileSystem implements FileSystem {
  readonly #waiting: { readonly begin: () => void; readonly done: Promise<unknown> }[] = [];
  /** What the next read that ends gives instead of the file's bytes: an error to throw. */
  failure: Error | undefined;
  /** Files are not at hand either: opening one takes another thread too. */
  opensSlowly = false;

  /** How many reads are under way. */
  get reading(): number {
    return this.#waiting.length;
  }

  /** Ends one of the reads that are under way, and lets those go on who waited for it. False when there is none. */
  async end(index = 0): Promise<boolean> {
    const [read] = this.#waiting.splice(index, 1);
    read?.begin();
    await read?.done;
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    return read !== undefined;
  }

  readAtHand(_fildes: number, _into: Uint8Array, _position: number): number {
    return 0;
  }

  readLater(fildes: number, into: Uint8Array, position: number): Promise<number> {
    return this.#inTurn(() => FILE_SYSTEM.read(fildes, into, position));
  }

  openAtHand(path: string): number | undefined {
    return this.opensSlowly ? undefined : FILE_SYSTEM.open(path);
  }

  openLater(path: string): Promise<number> {
    return this.#inTurn(() => FILE_SYSTEM.open(path));
  }

  async #inTurn(act: () => number): Promise<number> {
    const turn = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ begin: turn.resolve, done: done.promise });
    await turn.promise;
    done.resolve();
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    return act();
  }

  create = FILE_SYSTEM.create;
  open = FILE_SYSTEM.open;
  openForWriting = FILE_SYSTEM.openForWriting;
  close = FILE_SYSTEM.close;
  write = FILE_SYSTEM.write;
  read = FILE_SYSTEM.read;
  truncate = FILE_SYSTEM.truncate;
  rename = FILE_SYSTEM.rename;
  unlink = FILE_SYSTEM.unlink;
  makeDirectory = FILE_SYSTEM.makeDirectory;
  sync = FILE_SYSTEM.sync;
  syncDirectory = FILE_SYSTEM.syncDirectory;
  list = FILE_SYSTEM.list;
  sizeOf = FILE_SYSTEM.sizeOf;
  space = FILE_SYSTEM.space;
}
