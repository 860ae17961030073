import { type ByteRange, mergeRanges, missingRanges } from "@proj/protocol";
import type { ReadableBody } from "./reply.ts";
import type { BodyStore } from "./storage/body-store.ts";

/** More parts of one body than this are not kept: each costs a body of its own. */
export const PARTS_MAX = 64;

/** Bytes of the whole that one body holds. */
interface Part extends ByteRange {
  readonly body: ReadableBody;
  /** Where byte `start` of the whole is in it. */
  readonly offset: number;
}

/**
 * The body of a response of which the origin has sent parts (206), all with the same strong validator (RFC 9111 section 3.4). It grows by whole
 * parts; readers get a {@link PartsView} of what is there when they begin.
 */
export class Parts implements BodyStore {
  readonly firstByte = 0;
  readonly completeBytes: number;
  #parts: Part[] = [];
  readonly #bodies = new Set<BodyStore>();

  constructor(completeBytes: number) {
    this.completeBytes = completeBytes;
  }

  /** How many of the bytes are there. */
  get bytes(): number {
    return this.held.reduce((sum, { start, end }) => sum + (end - start), 0);
  }

  /** Which bytes are there, in order of position, neighbours joined. */
  get held(): ByteRange[] {
    return mergeRanges(this.#parts);
  }

  get isComplete(): boolean {
    return this.covers({ start: 0, end: this.completeBytes });
  }

  covers(range: ByteRange): boolean {
    return missingRanges(this.#parts, range).length === 0;
  }

  /** Takes a part over from its maker, who has appended all of it. Bytes that are there already stay; a part that brings nothing new is discarded. */
  add(range: ByteRange, body: BodyStore): void {
    const missing = missingRanges(this.#parts, range);
    if (missing.length === 0 || this.#bodies.size >= PARTS_MAX) {
      body.discard();
      return;
    }
    const added = missing.map(({ start, end }) => ({ start, end, body, offset: start - range.start }));
    this.#parts = [...this.#parts, ...added].sort((a, b) => a.start - b.start);
    this.#bodies.add(body);
  }

  /** What is there now, and stays there for who retains it, whatever is added or evicted. */
  view(tail?: { start: number; body: ReadableBody }): PartsView {
    return new PartsView(this.#parts, this.completeBytes, tail);
  }

  /** A body of parts grows by {@link add}. */
  append(): boolean {
    return false;
  }

  read(position: number, into: Uint8Array, only?: "at-hand"): number {
    return this.view().read(position, into, only);
  }

  load(position: number, bytes: number): Promise<void> | undefined {
    return this.view().load(position, bytes);
  }

  get isHeld(): boolean {
    return [...this.#bodies].some((body) => body.isHeld);
  }

  retain(): void {
    for (const body of this.#bodies) body.retain();
  }

  release(): void {
    for (const body of this.#bodies) body.release();
  }

  discard(): void {
    for (const body of this.#bodies) body.discard();
  }
}

/** A body read from parts, each at its place in the whole; the last one may still be growing. */
export class PartsView implements ReadableBody {
  readonly #parts: readonly Part[];
  readonly #completeBytes: number;
  readonly #tail: { start: number; body: ReadableBody } | undefined;

  constructor(parts: readonly Part[], completeBytes: number, tail: { start: number; body: ReadableBody } | undefined) {
    this.#parts = parts;
    this.#completeBytes = completeBytes;
    this.#tail = tail;
  }

  /** Up to where it can be read; the caller knows which bytes before that are missing, and does not ask for them. */
  get bytes(): number {
    return this.#tail === undefined ? this.#completeBytes : this.#tail.start + this.#tail.body.bytes;
  }

  read(position: number, into: Uint8Array, only?: "at-hand"): number {
    const place = this.#placeOf(position);
    return place === undefined ? 0 : place.body.read(place.from, into.subarray(0, place.bytes), only);
  }

  load(position: number, bytes: number): Promise<void> | undefined {
    const place = this.#placeOf(position);
    return place?.body.load?.(place.from, Math.min(bytes, place.bytes));
  }

  /** In which body the byte at `position` is, where in it, and how many follow there. */
  #placeOf(position: number): { body: ReadableBody; from: number; bytes: number } | undefined {
    const tail = this.#tail;
    if (tail !== undefined && position >= tail.start) {
      return { body: tail.body, from: position - tail.start, bytes: Number.POSITIVE_INFINITY };
    }
    const part = this.#parts.find(({ start, end }) => start <= position && position < end);
    if (part === undefined) return undefined;
    return { body: part.body, from: part.offset + position - part.start, bytes: part.end - position };
  }

  retain(): void {
    for (const body of this.#bodies()) body.retain();
  }

  release(): void {
    for (const body of this.#bodies()) body.release();
  }

  #bodies(): Set<ReadableBody> {
    const bodies = new Set(this.#parts.map(({ body }) => body));
    if (this.#tail !== undefined) bodies.add(this.#tail.body);
    return bodies;
  }
}
