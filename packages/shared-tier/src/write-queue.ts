/** What is waiting to be written at most: what comes beyond it is dropped, and will be written when another origin request brings it again. */
const WAITING_MAX = 1_024;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** So many are under way at once; each has one chunk in memory. */
const WRITERS = 4;

/** Work that nobody waits for, in order, some of it at once; bounded. */
export class WriteQueue {
  readonly #waiting: { readonly bytes: number; readonly work: () => Promise<void>; readonly dropped: () => void }[] =
    [];
  #waitingBytes = 0;
  #underWay = 0;
  #isClosed = false;

  /**
   * @param work Must not reject.
   * @param dropped Called instead of it when the queue is closed before its turn.
   * @returns false when there is no room.
   */
  add(bytes: number, work: () => Promise<void>, dropped: () => void): boolean {
    if (this.#isClosed || this.#waiting.length >= WAITING_MAX) return false;
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > WAITING_BYTES_MAX) return false;
    this.#waiting.push({ bytes, work, dropped });
    this.#waitingBytes += bytes;
    this.#next();
    return true;
  }

  /** Bytes that wait or are under way. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  close(): void {
    this.#isClosed = true;
    for (const { dropped } of this.#waiting.splice(0)) dropped();
  }

  #next(): void {
    if (this.#underWay >= WRITERS) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#underWay++;
    void next.work().then(() => {
      this.#underWay--;
      this.#waitingBytes -= next.bytes;
      this.#next();
    });
  }
}
