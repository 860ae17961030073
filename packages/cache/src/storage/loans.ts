import { statfsSync } from "node:fs";
import { type ObjectName, objectName } from "@proj/ipc";
import type { Room } from "./block-list.ts";
import { SharedBody } from "./shared-body.ts";

/** Smaller bodies go out in one portion and cost a copy that is cheaper than an object of their own. */
const LOAN_BYTES_MIN = 64 * 1024;
/** Each is a mapping; the kernel allows a process 65,530 (vm.max_map_count). */
const LOANS_MAX = 8192;
/** This part of /dev/shm stays free: for segments that are replaced, and for other programs. */
const FREE_SHARE = 4;
const SHM = "/dev/shm";

/** Makes bodies of one shard that proxies may map, as long as there is room for them in /dev/shm. */
export class Loans {
  readonly #nameOf: (loan: number) => string;
  readonly #onFull: () => void;
  readonly #bytesMin: number;
  #next = 0;
  #count = 0;
  #wasFull = false;

  /**
   * @param nameOf The object name of a loan.
   * @param bytesMin Shorter bodies are not lent.
   * @param onFull Told once each time /dev/shm has no room, until there is some again: bodies are kept in private memory meanwhile.
   */
  constructor(nameOf: (loan: number) => string, onFull: () => void, bytesMin = LOAN_BYTES_MIN) {
    this.#bytesMin = bytesMin;
    this.#nameOf = nameOf;
    this.#onFull = onFull;
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** A body of this length that can be lent; undefined when it is too small, or there is no room for it. */
  newBody(expectedBytes: number, room: Room): SharedBody | undefined {
    if (expectedBytes < this.#bytesMin || this.#count >= LOANS_MAX) return undefined;
    if (!hasSpace(expectedBytes)) return this.#full();
    if (!room.take(expectedBytes)) return undefined;
    const loan = this.#next++ >>> 0;
    const name: ObjectName = objectName(this.#nameOf(loan));
    try {
      const body = new SharedBody(name, loan, expectedBytes, room, () => this.#count--);
      this.#count++;
      this.#wasFull = false;
      return body;
    } catch {
      room.giveBack(expectedBytes);
      return this.#full();
    }
  }

  #full(): undefined {
    if (!this.#wasFull) this.#onFull();
    this.#wasFull = true;
  }
}

function hasSpace(bytes: number): boolean {
  const { bavail, blocks, bsize } = statfsSync(SHM);
  return bavail * bsize - bytes > (blocks * bsize) / FREE_SHARE;
}
