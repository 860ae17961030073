import { PrivateMemory } from "@proj/ipc";
import type { Room } from "./block-list.ts";

/** Before each record: its id (32 bits), its length (16), in this machine's byte order. */
const HEADER_BYTES = 6;
const HEADER_LENGTH = 4;
/** Records begin at multiples of it. So many bytes times 2^32 a log may hold: larger tiers have a larger one. */
const UNIT_BYTES_MIN = 4;
/** A tier of this many segments at least: what one of them wastes at its end, and what is kept in reserve, then is little of it. */
const SEGMENTS_MIN = 64;
const SEGMENT_BYTES_MIN = 4 * 1024;
const SEGMENT_BYTES_MAX = 1024 * 1024;
/** A record takes no more than this part of a segment, and no more than so many bytes: larger ones are better off by themselves. */
const RECORD_SHARE = 8;
const RECORD_BYTES_MAX = 64 * 1024 - 1;
/** When so large a part of the log is dead, room is made by moving what lives together instead of evicting it. */
const DEAD_SHARE = 1 / 16;
const NOBODY = 0xffff_ffff;

interface LogSegment {
  readonly memory: PrivateMemory;
  /** Where the next record goes. */
  end: number;
  liveBytes: number;
}

/**
 * Many small records in memory, back to back, without an object for any of them: a million records are some thousand mappings, which the garbage collector knows nothing of. Records are added at the
 * log's end and freed anywhere; what is freed is had back by moving the rest of a segment together (Rumble, Kejriwal, Ousterhout: "Log-structured
 * Memory for DRAM-based Storage", FAST '14), so that no size of record ever runs short of room that another size holds.
 *
 * A record is named by an id, a small number; where it is may change with any call that adds one.
 */
export class RecordLog {
  readonly segmentBytes: number;
  /** A longer record is not taken. */
  readonly recordBytesMax: number;
  readonly #room: Room;
  readonly #segments: (LogSegment | undefined)[] = [];
  /** Numbers of segments that hold nothing; one of them is there as soon as the log holds anything: what is moved needs a place to go. */
  readonly #spares: number[] = [];
  readonly #freeNumbers: number[] = [];
  /** What is written before a record. */
  readonly #header = new ArrayBuffer(8);
  readonly #headerId = new Uint32Array(this.#header, 0, 1);
  readonly #headerLength = new Uint16Array(this.#header, HEADER_LENGTH, 1);
  readonly #headerBytes = new Uint8Array(this.#header, 0, HEADER_BYTES);
  readonly #unitBytes: number;
  readonly #unitsInSegment: number;
  #head = NOBODY;
  /** By id: where it begins, in units, as if all segments stood one behind the other. */
  #places = new Uint32Array(64);
  /** By id: counts the records that have had it. */
  #generations = new Uint32Array(64);
  readonly #freeIds: number[] = [];
  #idsUsed = 0;
  /** What freed records take until it is had back. */
  #deadBytes = 0;
  #count = 0;

  /**
   * @param room Where the log takes room, a segment at a time. While it does, the owner may free records and call {@link reclaim}.
   * @param limitBytes Of the tier.
   */
  constructor(room: Room, limitBytes: number) {
    this.#room = room;
    const share = 2 ** Math.floor(Math.log2(Math.max(1, limitBytes / SEGMENTS_MIN)));
    this.segmentBytes = Math.min(SEGMENT_BYTES_MAX, Math.max(SEGMENT_BYTES_MIN, share));
    this.recordBytesMax = Math.min(RECORD_BYTES_MAX, this.segmentBytes / RECORD_SHARE);
    this.#unitBytes = Math.max(UNIT_BYTES_MIN, 2 ** Math.ceil(Math.log2(limitBytes / 2 ** 32)));
    this.#unitsInSegment = this.segmentBytes / this.#unitBytes;
  }

  /** Records that are there. */
  get count(): number {
    return this.#count;
  }

  /** What a record of so many bytes takes of the log. */
  takenBytes(length: number): number {
    return Math.ceil((HEADER_BYTES + length) / this.#unitBytes) * this.#unitBytes;
  }

  /** Adds a record, the first `length` bytes of `record`; undefined when there is no room for it. */
  add(record: Uint8Array, length: number): number | undefined {
    const bytes = this.takenBytes(length);
    if (length > this.recordBytesMax || !this.#makeHeadFor(bytes)) return undefined;
    const id = this.#freeIds.pop() ?? this.#newId();
    const { memory, end } = this.#segments[this.#head]!;
    this.#headerId[0] = id;
    this.#headerLength[0] = length;
    memory.write(end, this.#headerBytes);
    memory.write(end + HEADER_BYTES, record, length);
    this.#place(id, bytes);
    this.#count++;
    return id;
  }

  lengthOf(id: number): number {
    return this.#segmentWith(id).memory.u16(this.#offsetOf(id) + HEADER_LENGTH);
  }

  /** Copies `bytes` bytes of the record, from `position` on, to the beginning of `into`. */
  read(id: number, position: number, into: Uint8Array, bytes: number): void {
    this.#segmentWith(id).memory.read(this.#offsetOf(id) + HEADER_BYTES + position, into, bytes);
  }

  /** Of the record that has the id now: no other is ever named by the same id and generation. */
  generation(id: number): number {
    return this.#generations[id]!;
  }

  free(id: number): void {
    const segment = this.#segmentWith(id);
    const number = this.#numberOf(id);
    const bytes = this.takenBytes(this.lengthOf(id));
    this.#places[id] = NOBODY;
    this.#generations[id]!++;
    this.#freeIds.push(id);
    this.#count--;
    this.#deadBytes += bytes;
    segment.liveBytes -= bytes;
    if (segment.liveBytes > 0) return;
    this.#clear(segment);
    if (number !== this.#head) this.#spares.push(number);
    this.#giveBackSpares();
  }

  /** Gives back room by moving what lives together, where enough of the log is dead for that; false when nothing has been given back. */
  reclaim(): boolean {
    const worthwhile = Math.max(2, this.#segmentsTaken * DEAD_SHARE) * this.segmentBytes;
    while (this.#deadBytes - deadBytesOf(this.#segments[this.#head]) >= worthwhile) {
      this.#empty(this.#deadest());
      if (this.#giveBackSpares()) return true;
    }
    return false;
  }

  /** The number of the segment that a record is in. */
  #numberOf(id: number): number {
    return Math.floor(this.#places[id]! / this.#unitsInSegment);
  }

  #segmentWith(id: number): LogSegment {
    return this.#segments[this.#numberOf(id)]!;
  }

  /** Where in its segment it begins. */
  #offsetOf(id: number): number {
    return (this.#places[id]! % this.#unitsInSegment) * this.#unitBytes;
  }

  get #segmentsTaken(): number {
    return this.#segments.length - this.#freeNumbers.length;
  }

  /** Sees to it that the head has room for so many bytes. */
  #makeHeadFor(bytes: number): boolean {
    for (;;) {
      const head = this.#segments[this.#head];
      if (head !== undefined && head.end + bytes <= this.segmentBytes) return true;
      // Two spares: one to be the head, one to stay. Taking room may change all of this, so look again.
      if (this.#spares.length >= 2) this.#head = this.#spares.pop()!;
      else if (!this.#takeSegment()) return false;
    }
  }

  #takeSegment(): boolean {
    if (!this.#room.take(this.segmentBytes)) {
      this.#giveBackSpares();
      return false;
    }
    const memory = PrivateMemory.map(this.segmentBytes);
    if (memory === undefined) {
      this.#room.giveBack(this.segmentBytes);
      this.#giveBackSpares();
      return false;
    }
    const number = this.#freeNumbers.pop() ?? this.#segments.length;
    this.#segments[number] = { memory, end: 0, liveBytes: 0 };
    this.#spares.push(number);
    return true;
  }

  /** Keeps one spare, or none where nothing is stored. */
  #giveBackSpares(): boolean {
    let isLess = false;
    if (this.#count === 0 && this.#head !== NOBODY) {
      this.#spares.push(this.#head);
      this.#head = NOBODY;
    }
    while (this.#spares.length > (this.#count === 0 ? 0 : 1)) {
      const number = this.#spares.pop()!;
      this.#segments[number]!.memory.close();
      this.#segments[number] = undefined;
      this.#freeNumbers.push(number);
      this.#room.giveBack(this.segmentBytes);
      isLess = true;
    }
    return isLess;
  }

  /** The record and what is before it take `bytes` bytes at the head's end from now on. */
  #place(id: number, bytes: number): void {
    const segment = this.#segments[this.#head]!;
    this.#places[id] = this.#placeAt(this.#head, segment.end);
    segment.end += bytes;
    segment.liveBytes += bytes;
  }

  #placeAt(number: number, offset: number): number {
    return number * this.#unitsInSegment + offset / this.#unitBytes;
  }

  /** Of all segments but the head, the one with the most to be had back: there is one. */
  #deadest(): number {
    let found = NOBODY;
    let mostBytes = 0;
    for (let number = 0; number < this.#segments.length; number++) {
      const deadBytes = number === this.#head ? 0 : deadBytesOf(this.#segments[number]);
      if (deadBytes <= mostBytes) continue;
      mostBytes = deadBytes;
      found = number;
    }
    return found;
  }

  /** Moves what lives in a segment to the head, and, when that is full, to a spare. */
  #empty(number: number): void {
    const emptied = this.#segments[number]!;
    for (let at = 0; at < emptied.end; ) {
      const from = at;
      const id = emptied.memory.u32(from);
      const bytes = this.takenBytes(emptied.memory.u16(from + HEADER_LENGTH));
      at += bytes;
      if (this.#places[id] !== this.#placeAt(number, from)) continue;
      if (this.#segments[this.#head]!.end + bytes > this.segmentBytes) this.#head = this.#spares.pop()!;
      const head = this.#segments[this.#head]!;
      emptied.memory.copy(from, bytes, head.memory, head.end);
      this.#place(id, bytes);
      emptied.liveBytes -= bytes;
      this.#deadBytes += bytes;
    }
    this.#clear(emptied);
    this.#spares.push(number);
  }

  /** Nothing in it lives any more. */
  #clear(segment: LogSegment): void {
    this.#deadBytes -= segment.end;
    segment.end = 0;
  }

  #newId(): number {
    const id = this.#idsUsed++;
    if (id < this.#places.length) return id;
    const grown = (from: Uint32Array<ArrayBuffer>) => {
      const to = new Uint32Array(from.length * 2);
      to.set(from);
      return to;
    };
    this.#places = grown(this.#places);
    this.#generations = grown(this.#generations);
    return id;
  }
}

function deadBytesOf(segment: LogSegment | undefined): number {
  return segment === undefined ? 0 : segment.end - segment.liveBytes;
}
