import type { Transfer } from "./transfer.ts";

/** An ask that has waited so long gives its segment back. */
const PENDING_AFTER_MS = 25;

/** Transfers with asks that wait for the origin or the disk: those who have waited too long are told `pending`, and get a notice later. */
export class WaitingTransfers {
  readonly #transfers = new Set<Transfer>();
  readonly #nowMs: () => number;
  readonly #answerPending: (transfer: Transfer) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param nowMs Monotonic.
   * @param answerPending Answers all that the transfer asks for. It waits no longer; a notice is owed.
   */
  constructor(nowMs: () => number, answerPending: (transfer: Transfer) => void) {
    this.#nowMs = nowMs;
    this.#answerPending = answerPending;
  }

  add(transfer: Transfer): void {
    if (!this.#transfers.has(transfer)) {
      transfer.waitingSinceMs = this.#nowMs();
      this.#transfers.add(transfer);
    }
    this.#timer ??= setTimeout(() => this.#look(), PENDING_AFTER_MS);
  }

  delete(transfer: Transfer): void {
    this.#transfers.delete(transfer);
  }

  #look(): void {
    this.#timer = undefined;
    const dueMs = this.#nowMs() - PENDING_AFTER_MS;
    for (const transfer of this.#transfers) {
      if (transfer.waitingSinceMs > dueMs) continue;
      this.#transfers.delete(transfer);
      transfer.noticeOwed = true;
      this.#answerPending(transfer);
    }
    if (this.#transfers.size > 0) this.#timer = setTimeout(() => this.#look(), PENDING_AFTER_MS);
  }
}
