const WAYS = 8;
const BUCKETS_AT_FIRST = 64;
/** 16 Mi places take 192 MiB: enough for the small queue's victims of a store of ten million entries. */
const BUCKETS_MAX = 2 ** 21;
/** The table doubles when so large a part of its places has been lost by entries that should have been remembered. */
const LOST_SHARE = 1 / 64;

/**
 * Remembers which entries went last, by hash, for as long as no more than `limit` bytes have gone after them.
 *
 * Time is the sum of the weights that have been added, so nothing has to be removed: what is too old is written over. 12 bytes for each
 * place, of which two to three are there for each hash that is remembered: the few that find no place in their bucket are forgotten early. Two entries with the same 32-bit hash are taken for one: that costs a
 * better place in the queue than was earned, nothing else.
 */
export class GhostTable {
  readonly #limit: number;
  #hashes = new Uint32Array(BUCKETS_AT_FIRST * WAYS);
  /** The clock at which each was added; 0: no entry. */
  #addedAt = new Float64Array(BUCKETS_AT_FIRST * WAYS);
  #clock = 0;
  #lost = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes that the table itself takes. */
  get byteLength(): number {
    return this.#hashes.byteLength + this.#addedAt.byteLength;
  }

  add(hash: number, weight: number): void {
    this.#clock += weight;
    let place = this.#placeFor(hash);
    if (this.#isRemembered(place) && this.#hashes[place] !== hash) {
      if (++this.#lost > this.#hashes.length * LOST_SHARE && this.#grow()) place = this.#placeFor(hash);
    }
    this.#hashes[place] = hash;
    this.#addedAt[place] = this.#clock;
  }

  /** Whether `hash` is remembered; it is not any more after that. */
  take(hash: number): boolean {
    const first = this.#bucketOf(hash);
    for (let place = first; place < first + WAYS; place++) {
      if (this.#hashes[place] !== hash || !this.#isRemembered(place)) continue;
      this.#addedAt[place] = 0;
      return true;
    }
    return false;
  }

  #isRemembered(place: number): boolean {
    const addedAt = this.#addedAt[place]!;
    return addedAt !== 0 && this.#clock - addedAt < this.#limit;
  }

  #bucketOf(hash: number): number {
    // Fibonacci hashing: callers' hashes may share bits by which they are spread already.
    const spread = Math.imul(hash, 0x9e3779b1) >>> 0;
    return Math.floor(spread / (2 ** 32 / (this.#hashes.length / WAYS))) * WAYS;
  }

  /** Where `hash` is, else the place of what was added longest ago. */
  #placeFor(hash: number): number {
    const first = this.#bucketOf(hash);
    let oldest = first;
    for (let place = first; place < first + WAYS; place++) {
      if (this.#hashes[place] === hash && this.#addedAt[place] !== 0) return place;
      if (this.#addedAt[place]! < this.#addedAt[oldest]!) oldest = place;
    }
    return oldest;
  }

  /** Twice the buckets, unless there are too many. */
  #grow(): boolean {
    this.#lost = 0;
    if (this.#hashes.length / WAYS >= BUCKETS_MAX) return false;
    const hashes = this.#hashes;
    const addedAt = this.#addedAt;
    this.#hashes = new Uint32Array(hashes.length * 2);
    this.#addedAt = new Float64Array(hashes.length * 2);
    for (let place = 0; place < hashes.length; place++) {
      const at = addedAt[place]!;
      if (at === 0 || this.#clock - at >= this.#limit) continue;
      const moved = this.#placeFor(hashes[place]!);
      this.#hashes[moved] = hashes[place]!;
      this.#addedAt[moved] = at;
    }
    return true;
  }
}
