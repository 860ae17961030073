import { type Fields, formatHttpDate, parseHttpDate } from "@proj/protocol";
import { Interned } from "./interned.ts";

/** A value's slot: its length, or one of the two below. */
const LENGTH_MAX = 0x7fff;
/** And the number of a shared value. */
const SHARED = 0x8000;
/** Four bytes: seconds since the epoch, the highest first. */
const DATE = 0xffff;
const DATE_BYTES = 4;
const DATE_LENGTH = "Sun, 22 Nov 2026 12:00:00 GMT".length;

/** Shorter ones take hardly more where they are written out, longer ones may not be the origin's to keep here without end. */
const SHARED_LENGTH_MIN = 8;
const SHARED_LENGTH_MAX = 1024;
/** What has been seen so often among the last ones is shared from then on: what is each response's own, as an ETag, is not. */
const SIGHTINGS = 8;
const SIGHTED_MAX = 1024;

/** The values of a section as they go into a record. */
export interface PackedValues {
  /** One for each value. */
  readonly slots: readonly number[];
  /** What the slots do not say, back to back, a byte each char. */
  readonly text: string;
}

/**
 * Packs field values, and gives them again: those that many responses share are kept once, dates are numbers.
 */
export class ValuePacker {
  readonly #shared = new Interned<string>();
  /** By hash, one for each remainder of it: the value seen last, and how often since. */
  readonly #sighted = new Uint32Array(SIGHTED_MAX);
  readonly #sightings = new Uint8Array(SIGHTED_MAX);
  /** Many responses carry the date of one second. */
  #lastSeconds = -1;
  #lastDate = "";

  /** undefined when a value is too long for it. */
  pack(fields: Fields): PackedValues | undefined {
    const slots: number[] = [];
    let text = "";
    for (let index = 0; index < fields.length; index++) {
      const value = fields.value(index);
      const seconds = value.length === DATE_LENGTH ? this.#secondsOf(value) : undefined;
      if (seconds !== undefined) {
        slots.push(DATE);
        text += String.fromCharCode(seconds >>> 24, (seconds >>> 16) & 255, (seconds >>> 8) & 255, seconds & 255);
        continue;
      }
      if (value.length > LENGTH_MAX) return undefined;
      const number = this.#sharedNumber(value);
      slots.push(number === undefined ? value.length : SHARED + number);
      if (number === undefined) text += value;
    }
    return { slots, text };
  }

  /** What the text takes of a record, by its slots. */
  static textBytes(slots: readonly number[]): number {
    let bytes = 0;
    for (const slot of slots) bytes += textBytesOf(slot);
    return bytes;
  }

  unpack({ slots, text }: PackedValues): string[] {
    let from = 0;
    return slots.map((slot) => {
      const at = from;
      from += textBytesOf(slot);
      if (slot === DATE) return this.#dateAt(text, at);
      return slot > LENGTH_MAX ? this.#shared.value(slot - SHARED) : text.slice(at, from);
    });
  }

  /** Undefined unless it is a date that is written just as {@link formatHttpDate} does. */
  #secondsOf(value: string): number | undefined {
    if (value === this.#lastDate) return this.#lastSeconds;
    const timeMs = parseHttpDate(value, 0);
    const seconds = timeMs === undefined ? -1 : timeMs / 1000;
    return seconds >= 0 && seconds < 2 ** 32 && this.#dateOf(seconds) === value ? seconds : undefined;
  }

  #dateOf(seconds: number): string {
    if (seconds !== this.#lastSeconds) {
      this.#lastDate = formatHttpDate(seconds * 1000);
      this.#lastSeconds = seconds;
    }
    return this.#lastDate;
  }

  #dateAt(text: string, at: number): string {
    let seconds = 0;
    for (let index = 0; index < DATE_BYTES; index++) seconds = seconds * 256 + text.charCodeAt(at + index);
    return this.#dateOf(seconds);
  }

  #sharedNumber(value: string): number | undefined {
    if (value.length < SHARED_LENGTH_MIN || value.length > SHARED_LENGTH_MAX) return undefined;
    const known = this.#shared.numberOf(value);
    if (known !== undefined || !this.#isSeenOften(value)) return known;
    // A copy of its own: the value may be a part of a whole head, which would stay with it.
    const own = Buffer.from(value, "latin1").toString("latin1");
    return this.#shared.number(own, () => own);
  }

  #isSeenOften(value: string): boolean {
    const hash = Bun.hash.xxHash32(value);
    const place = hash % SIGHTED_MAX;
    const isKnown = this.#sighted[place] === hash;
    this.#sighted[place] = hash;
    this.#sightings[place] = isKnown ? this.#sightings[place]! + 1 : 1;
    return this.#sightings[place] === SIGHTINGS;
  }
}

function textBytesOf(slot: number): number {
  if (slot === DATE) return DATE_BYTES;
  return slot > LENGTH_MAX ? 0 : slot;
}
