const SLOTS_AT_FIRST = 64;
/** Slots begin above it. */
const NONE = 0;

/**
 * Slots by a hash of 32 bits: a hash table in three arrays, 12 bytes a slot. Slots with the same hash keep the order in which they were added.
 */
export class HashChains {
  /** By bucket, as many as there may be slots: the slot added last of those whose hashes fall into it. */
  #newest = new Uint32Array(SLOTS_AT_FIRST);
  /** By slot: the slot added before to the same bucket. */
  #older = new Uint32Array(SLOTS_AT_FIRST);
  #hashes = new Uint32Array(SLOTS_AT_FIRST);

  /** Slots are below this. */
  get slotsEnd(): number {
    return this.#older.length;
  }

  hashOf(slot: number): number {
    return this.#hashes[slot]!;
  }

  /** @param slot Above 0, and not in any chain. */
  add(slot: number, hash: number): void {
    if (slot >= this.#older.length) this.#grow(slot);
    this.#hashes[slot] = hash;
    this.#link(slot);
  }

  remove(slot: number): void {
    const bucket = this.#bucketOf(this.#hashes[slot]!);
    const older = this.#older[slot]!;
    let younger = this.#newest[bucket]!;
    if (younger === slot) {
      this.#newest[bucket] = older;
      return;
    }
    while (this.#older[younger] !== slot) younger = this.#older[younger]!;
    this.#older[younger] = older;
  }

  /** All slots with this hash, the newest last. */
  slotsOf(hash: number): number[] {
    const slots: number[] = [];
    for (let slot = this.first(hash); slot !== NONE; slot = this.next(slot)) slots.push(slot);
    return slots.reverse();
  }

  /** The newest slot with this hash; 0: there is none. */
  first(hash: number): number {
    return this.#same(this.#newest[this.#bucketOf(hash)]!, hash);
  }

  /** The slot with the same hash that was added before; 0: there is none. */
  next(slot: number): number {
    return this.#same(this.#older[slot]!, this.#hashes[slot]!);
  }

  #same(from: number, hash: number): number {
    let slot = from;
    while (slot !== NONE && this.#hashes[slot] !== hash) slot = this.#older[slot]!;
    return slot;
  }

  #bucketOf(hash: number): number {
    // Which shard owns a hash says something about its low bits: all take part.
    return (Math.imul(hash, 0x9e3779b1) >>> 0) % this.#newest.length;
  }

  #link(slot: number): void {
    const bucket = this.#bucketOf(this.#hashes[slot]!);
    this.#older[slot] = this.#newest[bucket]!;
    this.#newest[bucket] = slot;
  }

  /** Spreads all slots over twice as many buckets or more; of one hash the newer ones stay before the older ones. */
  #grow(slot: number): void {
    const slots = 2 ** Math.ceil(Math.log2(slot + 1));
    const newest = this.#newest;
    const older = this.#older;
    const hashes = new Uint32Array(slots);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    this.#newest = new Uint32Array(slots);
    this.#older = new Uint32Array(slots);
    for (const first of newest) {
      const chain: number[] = [];
      for (let one = first; one !== NONE; one = older[one]!) chain.push(one);
      for (const one of chain.reverse()) this.#link(one);
    }
  }
}
