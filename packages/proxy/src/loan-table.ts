import { objectName, SharedMemory, type SystemCallError } from "@proj/ipc";

/** Mapped bodies that nobody sends from just now are kept for the next one, as long as they are few and small together. */
const IDLE_MAX = 1024;
const IDLE_BYTES_MAX = 64 * 1024 * 1024;

/** A body of the cache that this thread has mapped, read-only. Whoever borrowed it gives it back; its bytes must not be touched after that. */
export interface Loan {
  readonly bytes: Uint8Array;
  /** Of the object they are in, from its beginning: what has been written there stays as it is, so that it can be sent without a copy. Undefined where descriptors are scarce. */
  readonly fildes: number | undefined;
  /** Somebody has cut the object short: it is not what the cache has lent any more. */
  readonly isBroken: boolean;
  /** One more borrower. */
  retain(): void;
  giveBack(): void;
  /** To be called when it could not be sent, of which the client may be the reason, or this: finds out, so that the next one who asks gets it from the cache. */
  examine(): void;
}

/** The bodies that one thread has mapped, by the name of their object. A name is never used twice, so what it names never changes. */
export class LoanTable {
  readonly #loans = new Map<string, MappedLoan>();
  /** Least recently given back first. */
  readonly #idle = new Set<MappedLoan>();
  #idleBytes = 0;
  readonly #descriptorsMax: number;
  #descriptors = 0;

  /** @param descriptorsMax How many may be kept open to send from; what is mapped beyond that is copied when it is sent. */
  constructor(descriptorsMax: number) {
    this.#descriptorsMax = descriptorsMax;
  }

  /**
   * Maps the object `name`, unless it is mapped already; the caller gives the loan back.
   *
   * @returns undefined when there is no such object of this length any more: the cache has evicted it since it answered.
   */
  borrow(name: string, bodyBytes: number): Loan | undefined {
    const known = this.#loans.get(name) ?? this.#map(name);
    if (known === undefined || known.bytes.length !== bodyBytes) return undefined;
    known.retain();
    return known;
  }

  /** Unmaps whatever nobody sends from; the rest goes as it is given back. */
  close(): void {
    for (const loan of this.#idle) this.#unmap(loan);
    this.#idle.clear();
  }

  #map(name: string): MappedLoan | undefined {
    let memory: SharedMemory;
    try {
      const keepsDescriptor = this.#descriptors < this.#descriptorsMax;
      memory = SharedMemory.open(objectName(name), { readOnly: true, keepsDescriptor });
    } catch {
      return undefined;
    }
    if (memory.fildes !== undefined) this.#descriptors += 1;
    const loan = new MappedLoan(name, memory, {
      onUse: (isIdle) => this.#settle(loan, isIdle),
      onBroken: () => this.#forget(loan),
    });
    this.#loans.set(name, loan);
    this.#settle(loan, true);
    return loan;
  }

  #settle(loan: MappedLoan, isIdle: boolean): void {
    if (isIdle) this.#idle.add(loan);
    else this.#idle.delete(loan);
    this.#idleBytes += isIdle ? loan.bytes.length : -loan.bytes.length;
    for (const oldest of this.#idle) {
      if (this.#idle.size <= IDLE_MAX && this.#idleBytes <= IDLE_BYTES_MAX) return;
      if (oldest === loan) continue;
      this.#idle.delete(oldest);
      this.#idleBytes -= oldest.bytes.length;
      this.#unmap(oldest);
    }
  }

  /** Nobody borrows it any more. */
  #forget(loan: MappedLoan): void {
    if (this.#loans.get(loan.name) === loan) this.#loans.delete(loan.name);
  }

  #unmap(loan: MappedLoan): void {
    this.#forget(loan);
    if (loan.fildes !== undefined) this.#descriptors -= 1;
    loan.memory.close();
  }
}

class MappedLoan implements Loan {
  readonly name: string;
  readonly memory: SharedMemory;
  readonly bytes: Uint8Array;
  readonly fildes: number | undefined;
  isBroken = false;
  readonly #table: { onUse(isIdle: boolean): void; onBroken(): void };
  #borrowers = 0;

  constructor(name: string, memory: SharedMemory, table: { onUse(isIdle: boolean): void; onBroken(): void }) {
    this.name = name;
    this.memory = memory;
    this.bytes = memory.bytes;
    this.fildes = memory.fildes;
    this.#table = table;
  }

  retain(): void {
    if (this.#borrowers++ === 0) this.#table.onUse(false);
  }

  giveBack(): void {
    if (--this.#borrowers === 0) this.#table.onUse(true);
  }

  examine(): void {
    if (this.isBroken || !isCutShort(this.name, this.bytes.length)) return;
    this.isBroken = true;
    this.#table.onBroken();
  }
}

/** One that the cache has evicted has no name any more, and is whole. */
function isCutShort(name: string, bytes: number): boolean {
  try {
    using memory = SharedMemory.open(objectName(name), { readOnly: true });
    return memory.length < bytes;
  } catch (error) {
    return (error as SystemCallError).code === "EINVAL"; // cut to nothing
  }
}
