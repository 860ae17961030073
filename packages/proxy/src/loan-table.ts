import { objectName, SharedMemory } from "@proj/ipc";

/** Mapped bodies that nobody sends from just now are kept for the next one, as long as they are few and small together. */
const IDLE_MAX = 64;
const IDLE_BYTES_MAX = 64 * 1024 * 1024;

/** A body of the cache that this thread has mapped, read-only. Whoever borrowed it gives it back; its bytes must not be touched after that. */
export interface Loan {
  readonly bytes: Uint8Array;
  /** Of the object they are in, from its beginning: what has been written there stays as it is, so that it can be sent without a copy. Undefined where descriptors are scarce. */
  readonly fildes: number | undefined;
  /** One more borrower. */
  retain(): void;
  giveBack(): void;
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
    const loan = new MappedLoan(name, memory, (isIdle) => this.#settle(loan, isIdle));
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

  #unmap(loan: MappedLoan): void {
    this.#loans.delete(loan.name);
    if (loan.fildes !== undefined) this.#descriptors -= 1;
    loan.memory.close();
  }
}

class MappedLoan implements Loan {
  readonly name: string;
  readonly memory: SharedMemory;
  readonly bytes: Uint8Array;
  readonly fildes: number | undefined;
  readonly #onUse: (isIdle: boolean) => void;
  #borrowers = 0;

  constructor(name: string, memory: SharedMemory, onUse: (isIdle: boolean) => void) {
    this.name = name;
    this.memory = memory;
    this.bytes = memory.bytes;
    this.fildes = memory.fildes;
    this.#onUse = onUse;
  }

  retain(): void {
    if (this.#borrowers++ === 0) this.#onUse(false);
  }

  giveBack(): void {
    if (--this.#borrowers === 0) this.#onUse(true);
  }
}
