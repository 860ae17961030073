/** At so many records between two looks fewer hits are chosen from then on; at under a quarter of it more. */
const RECORDS_PER_LOOK_MAX = 24;
const HITS_PER_RECORD_MAX = 4096;

/**
 * Which hot hits are recorded: all while they are few, and of many so few that neither writing the records nor reading them costs anything worth naming.
 *
 * Each hit is chosen by itself and with the same probability, so that what it stands for is right whenever that probability changes, and clients that
 * ask for the same few targets in turn show all of them.
 *
 * @example
 * const sample = new HotSample(Math.random);
 * const weight = sample.take();
 * if (weight > 0) record(hit, { weight });
 * setInterval(() => sample.look(), 100);
 */
export class HotSample {
  readonly #random: () => number;
  #hitsPerRecord = 1;
  #taken = 0;
  #untilNext = 1;

  /** @param random Gives numbers from 0 to below 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** For how many hits the one that is about to be served stands: 0 when it is none of the sample. */
  take(): number {
    if (--this.#untilNext > 0) return 0;
    const weight = this.#hitsPerRecord;
    if (++this.#taken >= RECORDS_PER_LOOK_MAX) this.#choose(weight * 2);
    this.#draw();
    return weight;
  }

  /** To be called at even intervals. */
  look(): void {
    if (this.#taken < RECORDS_PER_LOOK_MAX / 4 && this.#hitsPerRecord > 1) {
      this.#choose(this.#hitsPerRecord / 2);
      this.#draw(); // hits that have become rare do not wait for the end of a gap that was drawn when they were many
    }
    this.#taken = 0;
  }

  #choose(hitsPerRecord: number): void {
    this.#hitsPerRecord = Math.min(hitsPerRecord, HITS_PER_RECORD_MAX);
    this.#taken = 0;
  }

  /** A gap of the geometric distribution: it has no memory, so that it may be drawn anew at any time. */
  #draw(): void {
    const missed = this.#hitsPerRecord === 1 ? 0 : Math.log1p(-this.#random()) / Math.log1p(-1 / this.#hitsPerRecord);
    this.#untilNext = 1 + Math.floor(missed);
  }
}
