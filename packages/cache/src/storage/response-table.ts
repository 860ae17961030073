import { S3Fifo } from "../eviction/s3-fifo.ts";
import { OBJECTS_BYTES, overheadBytes, replaces, type StoredResponse } from "../stored-response.ts";
import type { Room } from "./block-list.ts";
import { HashChains } from "./hash-chains.ts";
import { KnownResponses, Places } from "./known-responses.ts";
import { PackedBody } from "./packed-body.ts";
import { ResponsePacker } from "./packed-response.ts";
import { RecordLog } from "./record-log.ts";
import { usefulUntilSeconds } from "./usefulness.ts";

const NONE: readonly StoredResponse[] = [];
/** Variants of one key: beyond it the one that was stored first goes. Whoever varies on a cookie has one for each client (CHECKLIST 26). */
export const VARIANTS_MAX = 64;
const SLOTS_AT_FIRST = 64;
/** What index and order take for an entry that is a record, with what they have in reserve when they have just grown. */
const INDEX_BYTES = 88;
/** So many records are there as objects too, those wanted last; in a small tier fewer, so that they are a sixteenth of it at most. */
const KNOWN_MAX = 4096;
const KNOWN_SHARE = 16;

/** Both are told before the entry goes. */
export interface TableEvents {
  /** It goes to make room. @param response What it is. */
  onEvict(slot: number, response: () => StoredResponse): void;
  /** It is replaced or invalidated: nobody may use it any more. */
  onRemove?(slot: number): void;
}

/**
 * The memory tier's responses: by key, in the order in which they go, with the bytes they take. Small ones are records (packed-response.ts) and become objects
 * when they are wanted; those with larger bodies, or with parts of one, are objects all the time.
 */
export class ResponseTable implements Room {
  readonly limitBytes: number;
  usedBytes = 0;
  readonly #chains = new HashChains();
  readonly #order: S3Fifo;
  readonly #log: RecordLog;
  readonly #packer: ResponsePacker;
  readonly #places = new Places((slot) => this.#serials[slot] ?? 0);
  /** Of records. */
  readonly #known: KnownResponses;
  /** All that are no records, with what they take beside their bodies. */
  readonly #objects = new Map<number, { response: StoredResponse; overheadBytes: number }>();
  /** By slot: counts the entries that have had it; odd while one has. */
  #serials = new Uint32Array(SLOTS_AT_FIRST);
  /** By slot: the record's id and 1; 0: it is an object. */
  #records = new Uint32Array(SLOTS_AT_FIRST);
  /** By slot: when it is of no use any more, seconds since the epoch; 0: never, or not before 2106. */
  #untilSeconds = new Uint32Array(SLOTS_AT_FIRST);
  /** The entry that is being written anew: it can not go to make room for itself. */
  #busySlot: number | undefined;
  readonly #events: TableEvents;

  constructor(limitBytes: number, events: TableEvents) {
    this.limitBytes = limitBytes;
    this.#order = new S3Fifo(limitBytes);
    this.#log = new RecordLog(this, limitBytes);
    this.#packer = new ResponsePacker(this.#log);
    this.#known = new KnownResponses(Math.min(KNOWN_MAX, Math.ceil(limitBytes / KNOWN_SHARE / OBJECTS_BYTES)));
    this.#events = events;
  }

  get count(): number {
    return this.#order.count;
  }

  // -- Room

  take(bytes: number): boolean {
    if (bytes > this.limitBytes) return false;
    while (this.usedBytes + bytes > this.limitBytes) {
      if (this.#log.reclaim()) continue;
      // A body that somebody reads would give no room now: its bytes stay until he is done.
      const slot = this.#order.evict((one) => one !== this.#busySlot && !this.#isHeld(one));
      if (slot === undefined) return false; // all the room is with bodies that are arriving or being read
      this.#events.onEvict(slot, () => this.#responseIn(slot));
      this.#forget(slot);
    }
    this.usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.usedBytes -= bytes;
  }

  /** Whether there is room for so many bytes once all goes that nobody reads and that has arrived: to be asked before any of it does. */
  couldTake(bytes: number): boolean {
    let heldBytes = this.usedBytes - this.#order.weight;
    for (const [slot, { response }] of this.#objects) if (response.body.isHeld) heldBytes += this.#order.weightOf(slot);
    return heldBytes + bytes <= this.limitBytes;
  }

  // -- Slots: below slotsEnd, above 0

  get slotsEnd(): number {
    return this.#chains.slotsEnd;
  }

  isTaken(slot: number): boolean {
    return (this.#serials[slot] ?? 0) % 2 === 1;
  }

  /** What is stored in a slot that is taken. */
  responseAt(slot: number): StoredResponse | undefined {
    return this.isTaken(slot) ? this.#responseIn(slot) : undefined;
  }

  /** Where `response` is stored, also when another object stands for it meanwhile. */
  slotOf(response: StoredResponse): number | undefined {
    return this.#places.slotOf(response);
  }

  /** Whether what is in a slot that is taken is of no use to anybody any more. */
  isUseless(slot: number, nowSeconds: number): boolean {
    const until = this.#untilSeconds[slot]!;
    return until !== 0 && until < nowSeconds && !this.#isHeld(slot);
  }

  // -- Responses

  lookup(key: string): readonly StoredResponse[] {
    return this.#under(hashOf(key), key);
  }

  #under(hash: number, key: string): readonly StoredResponse[] {
    let slot = this.#chains.first(hash);
    if (slot === 0) return NONE;
    const found: StoredResponse[] = [];
    for (; slot !== 0; slot = this.#chains.next(slot)) {
      const response = this.#responseIn(slot);
      if (response.key === key) found.push(response);
    }
    return found.length > 1 ? found.reverse() : found;
  }

  /** @param uses For how many uses this one stands. */
  touch(response: StoredResponse, uses: number): void {
    const slot = this.slotOf(response);
    if (slot !== undefined) this.#order.touch(slot, uses);
  }

  /** Takes in a response whose body has its room already; false when there is none for the rest of it. */
  insert(response: StoredResponse): boolean {
    const { key } = response;
    const hash = hashOf(key);
    for (const other of this.#under(hash, key)) if (replaces(response, other)) this.remove(other);
    const record = this.#packer.pack(response);
    const slot = record === undefined ? this.#insertObject(response, hash) : this.#insertRecord(response, hash, record);
    if (slot === undefined) return false;
    this.#places.set(response, slot);
    if (this.#chains.next(slot) === 0) return true;
    const slots = this.#chains.slotsOf(hash);
    if (slots.length > VARIANTS_MAX) this.#remove(slots[0]!);
    return true;
  }

  /** `response` was had from here; it stands for what is stored from now on, should another object do so meanwhile. */
  adopt(response: StoredResponse): void {
    const slot = this.slotOf(response);
    if (slot === undefined || this.#records[slot] === 0) return;
    const known = this.#known.peek(slot);
    if (known === response) return;
    response.body = known?.body ?? this.#bodyOf(slot, response);
    this.#known.add(slot, response);
  }

  /** Its fields are others now, and may take more; without room for them it goes. */
  renewed(response: StoredResponse): void {
    const slot = this.slotOf(response);
    if (slot === undefined) return;
    const isRenewed = this.#records[slot] === 0 ? this.#reweigh(slot, response) : this.#repack(slot, response);
    if (!isRenewed) return this.#remove(slot);
    this.#untilSeconds[slot] = untilSecondsOf(response);
    this.#order.touch(slot, 1);
  }

  remove(response: StoredResponse): boolean {
    const slot = this.slotOf(response);
    if (slot === undefined) return false;
    this.#remove(slot);
    return true;
  }

  invalidate(key: string, response?: StoredResponse): number {
    const going = response === undefined ? this.lookup(key) : [response];
    return going.filter((one) => this.remove(one)).length;
  }

  /** Lets all go, for it is not needed any more: nobody is told. */
  clear(): void {
    for (let slot = 0; slot < this.slotsEnd; slot++) {
      if (!this.isTaken(slot)) continue;
      this.#order.remove(slot);
      this.#forget(slot);
    }
  }

  /** It is not among the known ones: most are wanted much later or never, and objects that live on for a while cost the collector more than those that do not. */
  #insertRecord(response: StoredResponse, hash: number, record: number): number | undefined {
    if (!this.take(INDEX_BYTES)) {
      this.#log.free(record);
      return undefined;
    }
    const slot = this.#insert(response, hash, this.#weightOf(record));
    this.#records[slot] = record + 1;
    response.body.discard();
    response.body = this.#bodyOf(slot, response);
    return slot;
  }

  #insertObject(response: StoredResponse, hash: number): number | undefined {
    const bytes = overheadBytes(response);
    if (!this.take(bytes)) return undefined;
    const slot = this.#insert(response, hash, bytes + response.body.bytes);
    this.#objects.set(slot, { response, overheadBytes: bytes });
    return slot;
  }

  /** @param hash Of its key. */
  #insert(response: StoredResponse, hash: number, weight: number): number {
    const { key, variant } = response;
    const slot = this.#order.insert(variant.varyKey === "" ? hash : hashOf(`${key}\n${variant.varyKey}`), weight);
    this.#chains.add(slot, hash);
    if (slot >= this.#serials.length) this.#grow();
    this.#serials[slot]!++;
    this.#records[slot] = 0;
    this.#untilSeconds[slot] = untilSecondsOf(response);
    return slot;
  }

  #reweigh(slot: number, response: StoredResponse): boolean {
    const entry = this.#objects.get(slot)!;
    const bytes = overheadBytes(response);
    const more = bytes - entry.overheadBytes;
    if (more > 0 && this.usedBytes + more > this.limitBytes) return false;
    this.usedBytes += more;
    entry.overheadBytes = bytes;
    this.#order.reweigh(slot, this.#order.weightOf(slot) + more);
    return true;
  }

  #repack(slot: number, response: StoredResponse): boolean {
    this.adopt(response);
    this.#busySlot = slot;
    const record = this.#packer.pack(response);
    this.#busySlot = undefined;
    if (record === undefined) return false;
    const before = response.body;
    this.#records[slot] = record + 1;
    response.body = this.#bodyOf(slot, response);
    before.discard();
    this.#order.reweigh(slot, this.#weightOf(record));
    return true;
  }

  #weightOf(record: number): number {
    return this.#log.takenBytes(this.#log.lengthOf(record)) + INDEX_BYTES;
  }

  #bodyOf(slot: number, { bodyBytes }: StoredResponse): PackedBody {
    return new PackedBody(this.#log, this.#records[slot]! - 1, bodyBytes);
  }

  #responseIn(slot: number): StoredResponse {
    const record = this.#records[slot]!;
    if (record === 0) return this.#objects.get(slot)!.response;
    const known = this.#known.get(slot);
    if (known !== undefined) return known;
    const response = this.#packer.unpack(record - 1);
    this.#known.add(slot, response);
    this.#places.set(response, slot);
    return response;
  }

  #isHeld(slot: number): boolean {
    return (this.#known.peek(slot) ?? this.#objects.get(slot)?.response)?.body.isHeld === true;
  }

  #remove(slot: number): void {
    this.#events.onRemove?.(slot);
    this.#order.remove(slot);
    this.#forget(slot);
  }

  /** The entry is gone from the order already. */
  #forget(slot: number): void {
    this.#chains.remove(slot);
    this.#serials[slot]!++;
    const record = this.#records[slot]!;
    if (record === 0) {
      const entry = this.#objects.get(slot)!;
      this.#objects.delete(slot);
      this.giveBack(entry.overheadBytes);
      entry.response.body.discard();
      return;
    }
    const known = this.#known.peek(slot);
    this.#known.delete(slot);
    this.giveBack(INDEX_BYTES);
    if (known === undefined) this.#log.free(record - 1);
    else known.body.discard();
  }

  #grow(): void {
    const slots = this.slotsEnd;
    const grown = (from: Uint32Array<ArrayBuffer>) => {
      const to = new Uint32Array(slots);
      to.set(from);
      return to;
    };
    this.#serials = grown(this.#serials);
    this.#records = grown(this.#records);
    this.#untilSeconds = grown(this.#untilSeconds);
  }
}

function untilSecondsOf(response: StoredResponse): number {
  const until = usefulUntilSeconds(response);
  return until < 2 ** 32 ? Math.max(0, until) : 0;
}

function hashOf(key: string): number {
  return Bun.hash.xxHash32(key);
}
