import { FILE_SYSTEM, type FileSystem } from "./file-system.ts";

/**
 * What happens at one write point: `stop`: nothing is done from there on, as if the process had been killed before it; `half`: as that, but half of
 * what was to be written is; `kill`: the process is killed in truth; `fail`: the call throws, those after it work again; `lose`: zeros are written in the
 * place of the data, and nobody is told, as when the power goes before a page has reached the medium.
 */
export type FaultKind = "stop" | "half" | "kill" | "fail" | "lose";

export interface Fault {
  readonly kind: FaultKind;
  /** Which call that changes something: 0 is the first. */
  readonly at: number;
}

/** For tests: the real file system, but for one fault. Counts the calls that change something. */
export class FaultyFileSystem implements FileSystem {
  readonly #fault: Fault | undefined;
  calls = 0;
  #isStopped = false;

  constructor(fault?: Fault) {
    this.#fault = fault;
  }

  create(path: string): number {
    return this.#change(() => FILE_SYSTEM.create(path));
  }
  write(fildes: number, bytes: Uint8Array, position: number): void {
    const half = bytes.subarray(0, bytes.length >> 1);
    this.#change(
      () => FILE_SYSTEM.write(fildes, bytes, position),
      () => FILE_SYSTEM.write(fildes, half, position),
      () => FILE_SYSTEM.write(fildes, new Uint8Array(bytes.length), position),
    );
  }
  truncate(fildes: number, length: number): void {
    this.#change(() => FILE_SYSTEM.truncate(fildes, length));
  }
  rename(from: string, to: string): void {
    this.#change(() => FILE_SYSTEM.rename(from, to));
  }
  unlink(path: string): void {
    this.#change(() => FILE_SYSTEM.unlink(path));
  }
  makeDirectory(path: string): void {
    this.#change(() => FILE_SYSTEM.makeDirectory(path));
  }
  sync = FILE_SYSTEM.sync;
  syncDirectory = FILE_SYSTEM.syncDirectory;
  open = FILE_SYSTEM.open;
  openAtHand = FILE_SYSTEM.openAtHand;
  openLater = FILE_SYSTEM.openLater;
  openForWriting = FILE_SYSTEM.openForWriting;
  close = FILE_SYSTEM.close;
  read = FILE_SYSTEM.read;
  readAtHand = FILE_SYSTEM.readAtHand;
  readLater = FILE_SYSTEM.readLater;
  list = FILE_SYSTEM.list;
  sizeOf = FILE_SYSTEM.sizeOf;
  space = FILE_SYSTEM.space;

  #change<Result>(call: () => Result, half: () => void = () => {}, lost: () => Result = call): Result {
    if (this.#isStopped) throw new Error("the process has been stopped");
    if (this.calls++ !== this.#fault?.at) return call();
    switch (this.#fault.kind) {
      case "kill":
        process.kill(process.pid, "SIGKILL");
        throw new Error("killed");
      case "half":
        half();
        this.#isStopped = true;
        throw new Error("the process has been stopped");
      case "stop":
        this.#isStopped = true;
        throw new Error("the process has been stopped");
      case "fail":
        throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
      case "lose":
        return lost();
    }
  }
}
