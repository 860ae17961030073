const SLOTS_AT_FIRST = 64;
const NONE = 0;

/** Which entries of the disk tier are copies of which entries of the memory tier: by slots, which are above 0 in both. */
export class CopyTable {
  #diskSlots = new Uint32Array(SLOTS_AT_FIRST);
  #memorySlots = new Uint32Array(SLOTS_AT_FIRST);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(memorySlot: number, diskSlot: number): void {
    this.#diskSlots = holding(this.#diskSlots, memorySlot);
    this.#memorySlots = holding(this.#memorySlots, diskSlot);
    this.#diskSlots[memorySlot] = diskSlot;
    this.#memorySlots[diskSlot] = memorySlot;
    this.#count++;
  }

  /** What the disk tier holds is a copy of this entry no more. */
  remove(memorySlot: number): void {
    const diskSlot = this.#diskSlots[memorySlot] ?? NONE;
    if (diskSlot === NONE) return;
    this.#diskSlots[memorySlot] = NONE;
    this.#memorySlots[diskSlot] = NONE;
    this.#count--;
  }

  /** The copy of an entry of the memory tier. */
  of(memorySlot: number): number | undefined {
    return this.#diskSlots[memorySlot] || undefined;
  }

  /** What an entry of the disk tier is a copy of. */
  originalOf(diskSlot: number): number | undefined {
    return this.#memorySlots[diskSlot] || undefined;
  }
}

function holding(slots: Uint32Array<ArrayBuffer>, slot: number): Uint32Array<ArrayBuffer> {
  if (slot < slots.length) return slots;
  const grown = new Uint32Array(2 ** Math.ceil(Math.log2(slot + 1)));
  grown.set(slots);
  return grown;
}
