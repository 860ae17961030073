import type { Loan } from "./loan-table.ts";

/** A response that nobody has to be asked for any more: its bytes, and perhaps a body on loan behind them. */
export class ReadyResponse {
  #bytes: Uint8Array;
  #loan: Loan | undefined;

  /** @param loan The body behind `bytes`; taken over, and given back once it is out or {@link drop} is called. */
  constructor(bytes: Uint8Array, loan?: Loan) {
    this.#bytes = bytes;
    this.#loan = loan;
  }

  /**
   * Hands the kernel what it takes.
   *
   * @param write Returns how many bytes were taken, or below 0 when the connection is gone.
   */
  send(write: (bytes: Uint8Array) => number): "sent" | "waits" | "gone" {
    for (;;) {
      const taken = this.#bytes.length === 0 ? 0 : write(this.#bytes);
      if (taken < 0) return "gone";
      this.#bytes = this.#bytes.subarray(taken);
      if (this.#bytes.length > 0) return "waits";
      if (this.#loan === undefined || this.#bytes.buffer === this.#loan.bytes.buffer) {
        this.drop();
        return "sent";
      }
      this.#bytes = this.#loan.bytes;
    }
  }

  /** It will not be sent to the end: the loan goes back. */
  drop(): void {
    this.#loan?.giveBack();
    this.#loan = undefined;
    this.#bytes = NOTHING;
  }
}

const NOTHING = new Uint8Array(0);
