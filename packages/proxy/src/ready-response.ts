import type { Loan } from "./loan-table.ts";

/** Who takes bytes on their way to a client: says how many, below 0 when the connection is gone. */
export interface ByteTaker {
  /** @param isMore Something follows at once. */
  take(bytes: Uint8Array, isMore: boolean): number;
  /** From `start` on. */
  takeLoan(loan: Loan, start: number): number;
}

/** A response that nobody has to be asked for any more: its bytes, and perhaps a body on loan behind them. */
export class ReadyResponse {
  #bytes: Uint8Array;
  #loan: Loan | undefined;
  #loanSent: number;

  /**
   * @param loan The body behind `bytes`; taken over, and given back once it is out or {@link drop} is called.
   * @param loanSent How much of that has been sent.
   */
  constructor(bytes: Uint8Array, loan?: Loan, loanSent = 0) {
    this.#bytes = bytes;
    this.#loan = loan;
    this.#loanSent = loanSent;
  }

  /** Hands the client what it takes. */
  send(client: ByteTaker): "sent" | "waits" | "gone" {
    if (this.#bytes.length > 0) {
      const taken = client.take(this.#bytes, this.#loan !== undefined);
      if (taken < 0) return "gone";
      this.#bytes = this.#bytes.subarray(taken);
      if (this.#bytes.length > 0) return "waits";
    }
    if (this.#loan !== undefined) {
      const taken = client.takeLoan(this.#loan, this.#loanSent);
      if (taken < 0) return "gone";
      this.#loanSent += taken;
      if (this.#loanSent < this.#loan.bytes.length) return "waits";
    }
    this.drop();
    return "sent";
  }

  /** It will not be sent to the end: the loan goes back. */
  drop(): void {
    this.#loan?.giveBack();
    this.#loan = undefined;
    this.#bytes = NOTHING;
  }
}

const NOTHING = new Uint8Array(0);
