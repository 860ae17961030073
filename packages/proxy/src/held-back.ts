/** As much as the cache holds back for one client. */
const RESPONSE_BYTES_MAX = 16 * 1024 * 1024;
/** Four of the longest, or as many shorter ones as come to that. */
const THREAD_BYTES_MAX = 64 * 1024 * 1024;

/** How much of a thread's memory bodies may take that are held back until their length is known. */
export class HeldBack {
  #bytes = 0;

  /** Takes room for `bytes` more of a body of which `before` are held already; false when there is none. */
  take(before: number, bytes: number): boolean {
    if (before + bytes > RESPONSE_BYTES_MAX || this.#bytes + bytes > THREAD_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}
