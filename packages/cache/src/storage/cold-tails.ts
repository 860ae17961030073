import type { EntryFile } from "./entry-file.ts";

/**
 * Metadata that is being read by other threads, by the slots of its entries. Whoever comes to know an entry in another way, changes it or drops it, says so: what is
 * read of it then is nobody's, for it may be what was true before.
 */
export class ColdTails {
  readonly #readings = new Map<number, Promise<void>>();

  /**
   * Reads, or waits for those who do. Resolves after `take` or `fail`, or when neither is to be called; does not reject.
   *
   * @param read Gives undefined when nothing is to be read any more.
   */
  bring(
    slot: number,
    read: () => Promise<EntryFile | undefined>,
    take: (file: EntryFile) => void,
    fail: (error: unknown) => void,
  ): Promise<void> {
    const other = this.#readings.get(slot);
    if (other !== undefined) return other;
    const over = () => this.#readings.get(slot) === reading && this.#readings.delete(slot);
    const reading = read().then(
      (file) => {
        if (over() && file !== undefined) take(file);
      },
      (error) => {
        if (over()) fail(error);
      },
    );
    this.#readings.set(slot, reading);
    return reading;
  }

  forget(slot: number): void {
    this.#readings.delete(slot);
  }
}
