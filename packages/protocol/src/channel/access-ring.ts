import {
  ACCESS_RECORD_BYTES_MAX,
  type AccessRecord,
  AccessTexts,
  accessRecordBytes,
  readAccessRecord,
  writeAccessRecord,
} from "./access-record.ts";
import { LAYOUT_VERSION } from "./layout-version.ts";

/**
 * The requests that the proxy's threads have answered last, in one shared memory object that the proxy makes: a ring of records for each thread. The writer
 * never waits for a reader: it overwrites the oldest records, and any number of readers follow, each at its own pace; what a reader missed it can count.
 * What a dead proxy did last stays readable as long as the object is there. Integers are little-endian.
 *
 *   offset  bytes  field
 *        0      4  magic        "WPAX"
 *        4      4  version      LAYOUT_VERSION
 *        8      4  life         of the proxy
 *       12      4  threads
 *       16      4  ringBytes    of each ring: a power of two
 *       24      8  wantedUntil  float64, ms since the epoch: up to then somebody wants every request, and hot hits are not sampled
 *       32     32  (zero)
 *       64         for each thread:
 *              0   4  tail      where the oldest whole record starts; positions count all bytes ever written, modulo 2^32
 *              4   4  head      where the next record will start
 *              8   8  recorded  float64: records ever written
 *             16  48  (zero)
 *             64   n  ring      n = ringBytes
 *
 * The writer moves `tail` past what it is about to overwrite, writes, then moves `head`. A reader copies what lies before `head` and looks at `tail` again: what that
 * has passed is not to be used.
 */
const FIELD = { magic: 0, version: 4, life: 8, threads: 12, ringBytes: 16, wantedUntil: 24, rings: 64 } as const;
const RING = { tail: 0, head: 4, recorded: 8, bytes: 64 } as const;
/** "WPAX" as a little-endian integer. */
const MAGIC = 0x58415057;
const FILLER = 0x80000000;

/** Some 1,500 to 2,500 records: what a thread answers in 100 ms when no request is a hot hit. */
export const ACCESS_RING_BYTES = 256 * 1024;

export function accessRingsBytes(threads: number, ringBytes = ACCESS_RING_BYTES): number {
  return FIELD.rings + threads * (RING.bytes + ringBytes);
}

/** Makes a zeroed buffer of {@link accessRingsBytes} the rings of a proxy's life. */
export function initAccessRings(
  buffer: ArrayBuffer,
  options: { life: number; threads: number; ringBytes?: number },
): void {
  const view = new DataView(buffer);
  view.setUint32(FIELD.version, LAYOUT_VERSION, true);
  view.setUint32(FIELD.life, options.life, true);
  view.setUint32(FIELD.threads, options.threads, true);
  view.setUint32(FIELD.ringBytes, options.ringBytes ?? ACCESS_RING_BYTES, true);
  Atomics.store(new Int32Array(buffer, FIELD.magic, 1), 0, MAGIC);
}

/** One thread's end: writes records, and knows whether somebody wants all of them. */
export class AccessRingWriter {
  readonly #words: Int32Array;
  readonly #recorded: Float64Array;
  readonly #wanted: Float64Array;
  readonly #buffer: Buffer;
  readonly #view: DataView;
  readonly #mask: number;
  #sequence = 0;

  constructor(buffer: ArrayBuffer, thread: number) {
    const ringBytes = new DataView(buffer).getUint32(FIELD.ringBytes, true);
    const at = FIELD.rings + thread * (RING.bytes + ringBytes);
    this.#words = new Int32Array(buffer, at, 2);
    this.#recorded = new Float64Array(buffer, at + RING.recorded, 1);
    this.#wanted = new Float64Array(buffer, FIELD.wantedUntil, 1);
    this.#buffer = Buffer.from(buffer, at + RING.bytes, ringBytes);
    this.#view = new DataView(buffer, at + RING.bytes, ringBytes);
    this.#mask = ringBytes - 1;
  }

  wantsAll(nowMs: number): boolean {
    return nowMs < this.#wanted[0]!;
  }

  /**
   * Its sequence number is given here.
   *
   * @param texts Those of the record, where they are at hand.
   */
  write(record: AccessRecord, texts: AccessTexts = new AccessTexts(record)): void {
    const length = accessRecordBytes(record, texts);
    const head = this.#words[1]!;
    const at = head & this.#mask;
    const toEnd = this.#mask + 1 - at;
    const filler = toEnd < length ? toEnd : 0;
    this.#makeRoom(head, filler + length);
    if (filler > 0) this.#view.setUint32(at, (filler | FILLER) >>> 0, true);
    record.sequence = ++this.#sequence;
    const place = { buffer: this.#buffer, view: this.#view, at: filler > 0 ? 0 : at, length };
    writeAccessRecord(place, record, texts);
    this.#recorded[0]! += 1;
    Atomics.store(this.#words, 1, (head + filler + length) | 0);
  }

  #makeRoom(head: number, bytes: number): void {
    let tail = this.#words[0]!;
    const before = tail;
    while (((head - tail) | 0) + bytes > this.#mask + 1)
      tail = (tail + (this.#view.getUint32(tail & this.#mask, true) & ~FILLER)) | 0;
    if (tail !== before) Atomics.store(this.#words, 0, tail);
  }
}

/** Has the proxy record every request until then; whoever wants that says so again and again. Later wishes of others stand. */
export function wantAllRecords(buffer: ArrayBuffer, untilMs: number): void {
  const wanted = new Float64Array(buffer, FIELD.wantedUntil, 1);
  wanted[0] = Math.max(wanted[0]!, untilMs);
}

/** A copy of the rings, for a reader that must survive whatever is done to them: `SharedMemoryCopy` of `@proj/ipc`. False: they have been cut short. */
export interface AccessRingsCopy {
  readonly buffer: ArrayBuffer;
  /** Copies a part anew. */
  refresh(offset: number, length: number): boolean;
  /** Writes a part of the copy into the rings; only asked for by {@link AccessReader.wantAll}. */
  writeBack(offset: number, length: number): boolean;
}

/** A reader of all rings of one life. It copies what has come since it looked last, and nothing else. */
export class AccessReader {
  readonly life: number;
  readonly #copy: AccessRingsCopy;
  readonly #rings: RingReader[] = [];

  private constructor(copy: AccessRingsCopy, view: DataView, from: "oldest" | "now") {
    this.#copy = copy;
    this.life = view.getUint32(FIELD.life, true);
    const threads = view.getUint32(FIELD.threads, true);
    const ringBytes = view.getUint32(FIELD.ringBytes, true);
    for (let thread = 0; thread < threads; thread++) {
      this.#rings.push(new RingReader(copy, FIELD.rings + thread * (RING.bytes + ringBytes), ringBytes, from));
    }
  }

  /** Undefined when the copy does not hold rings of this layout. */
  static over(copy: AccessRingsCopy, from: "oldest" | "now"): AccessReader | undefined {
    const { buffer } = copy;
    if (buffer.byteLength < FIELD.rings) return undefined;
    const view = new DataView(buffer);
    if (view.getUint32(FIELD.magic, true) !== MAGIC || view.getUint32(FIELD.version, true) !== LAYOUT_VERSION)
      return undefined;
    const ringBytes = view.getUint32(FIELD.ringBytes, true);
    const isPower = ringBytes >= ACCESS_RECORD_BYTES_MAX && (ringBytes & (ringBytes - 1)) === 0;
    if (!isPower || buffer.byteLength < accessRingsBytes(view.getUint32(FIELD.threads, true), ringBytes))
      return undefined;
    return new AccessReader(copy, view, from);
  }

  /**
   * Hands over what has come since the last call, thread by thread; within a thread in the order in which requests ended.
   *
   * @returns How many records were overwritten before they were read; `"cut"`: the rings have been cut short, and nothing more can be read of them.
   */
  read(take: (record: AccessRecord, thread: number) => void): number | "cut" {
    let lost = 0;
    for (const [thread, ring] of this.#rings.entries()) {
      const lostOfThread = ring.read((record) => take(record, thread));
      if (lostOfThread === "cut") return "cut";
      lost += lostOfThread;
    }
    return lost;
  }

  /** Whether they are still those of the life that they were of: another proxy may have made them its own, where there was no memory for others. */
  get isOfSameLife(): boolean {
    const { life } = FIELD;
    return this.#copy.refresh(life, 4) && new DataView(this.#copy.buffer).getUint32(life, true) === this.life;
  }

  /** As {@link wantAllRecords}, in the rings themselves. False: they have been cut short. */
  wantAll(untilMs: number): boolean {
    const part = [FIELD.wantedUntil, 8] as const;
    if (!this.#copy.refresh(...part)) return false;
    wantAllRecords(this.#copy.buffer, untilMs);
    return this.#copy.writeBack(...part);
  }
}

class RingReader {
  readonly #copy: AccessRingsCopy;
  readonly #at: number;
  readonly #words: DataView;
  readonly #ring: Buffer;
  readonly #mask: number;
  #position: number;
  #sequence: number | undefined;

  constructor(copy: AccessRingsCopy, at: number, ringBytes: number, from: "oldest" | "now") {
    this.#copy = copy;
    this.#at = at;
    this.#words = new DataView(copy.buffer, at, RING.bytes);
    this.#ring = Buffer.from(copy.buffer, at + RING.bytes, ringBytes);
    this.#mask = ringBytes - 1;
    this.#position = from === "now" ? this.#head : this.#tail;
  }

  get #tail(): number {
    return this.#words.getInt32(RING.tail, true);
  }

  get #head(): number {
    return this.#words.getInt32(RING.head, true);
  }

  read(take: (record: AccessRecord) => void): number | "cut" {
    if (!this.#refreshWords()) return "cut";
    // What comes while we read is for the next call: a reader that is slower than the writer comes back all the same.
    const head = this.#head;
    this.#skipOverwritten();
    if (((head - this.#position) | 0) <= 0) return 0;
    if (!this.#refreshRing(head) || !this.#refreshWords()) return "cut";
    this.#skipOverwritten(); // while it was copied
    return this.#takeUpTo(head, take);
  }

  #skipOverwritten(): void {
    const tail = this.#tail;
    if (((tail - this.#position) | 0) > 0) this.#position = tail;
  }

  #takeUpTo(head: number, take: (record: AccessRecord) => void): number {
    let lost = 0;
    while (((head - this.#position) | 0) > 0) {
      const record = this.#next(head);
      if (record === undefined) continue;
      if (this.#sequence !== undefined) lost += (record.sequence - this.#sequence - 1) >>> 0;
      this.#sequence = record.sequence;
      take(record);
    }
    return lost;
  }

  #refreshWords(): boolean {
    return this.#copy.refresh(this.#at, RING.recorded);
  }

  /** What lies between the position and `head`, in one piece or in two. */
  #refreshRing(head: number): boolean {
    const ringAt = this.#at + RING.bytes;
    const size = this.#mask + 1;
    const length = Math.min((head - this.#position) | 0, size);
    const from = this.#position & this.#mask;
    const toEnd = Math.min(length, size - from);
    return this.#copy.refresh(ringAt + from, toEnd) && (toEnd === length || this.#copy.refresh(ringAt, length - toEnd));
  }

  /** Undefined for a filler. */
  #next(head: number): AccessRecord | undefined {
    const at = this.#position & this.#mask;
    const word = at % 8 === 0 ? this.#ring.readUInt32LE(at) : 0; // records start at multiples of 8
    const length = (word & ~FILLER) >>> 0;
    const isFiller = word >= FILLER;
    const fits = length > 0 && length % 8 === 0 && at + length <= this.#ring.length;
    // Nothing that a writer of ours leaves there: as if it had all been overwritten.
    if (!fits || (!isFiller && length > ACCESS_RECORD_BYTES_MAX)) {
      this.#position = head;
      return undefined;
    }
    this.#position = (this.#position + length) | 0;
    return isFiller ? undefined : readAccessRecord(this.#ring.subarray(at, at + length));
  }
}
