import {
  ANY_REQUEST,
  type CacheControl,
  Fields,
  type Freshness,
  type LifetimeBasis,
  ofSameFields,
  type Variant,
  writeLatin1,
} from "@proj/protocol";
import { renderHeadBlock } from "../head-block.ts";
import type { StoredResponse } from "../stored-response.ts";
import { Interned } from "./interned.ts";
import { PackedBody } from "./packed-body.ts";
import { readNumbers, writeNumbers } from "./packed-numbers.ts";
import { ValuePacker } from "./packed-values.ts";
import type { RecordLog } from "./record-log.ts";

/**
 * A stored response with a small body as one record of a {@link RecordLog}: about 26 bytes beside the target, the field values that are its own and the body, where
 * the objects that stand for one in use take some 2,800. Integers are little-endian.
 *
 *   offset  bytes  field
 *        0      2  bodyBytes
 *        2      2  stripe
 *        4      2  status
 *        6      2  names       number of an interned list of field names; WRITTEN_OUT: they are among the extras
 *        8      2  control     number of interned directives; WRITTEN_OUT: they are among the extras
 *       10      2  origin      number of what is before the target in the key, interned; WRITTEN_OUT: it is there
 *       12      4  sizes       of the numbers, four bits each: packed-numbers.ts
 *       16         numbers     as NUMBER says
 *              ..  extras (JSON, UTF-8; empty where there are none)
 *             2*n  slots of the n field values: packed-values.ts
 *              ..  their text (Latin-1), key (UTF-8), body
 */
const FIELD = {
  bodyBytes: 0,
  stripe: 2,
  status: 4,
  names: 6,
  control: 8,
  origin: 10,
  sizes: 12,
  numbers: 16,
} as const;
const NUMBER = {
  extrasBytes: 0,
  responseTimeMs: 1,
  lifetimeMs: 2,
  initialAgeMs: 3,
  purgesSeen: 4,
  filledAfter: 5,
  sharedAs: 6,
  basis: 7,
} as const;
const NUMBERS = 8;
const NUMBERS_BYTES_MAX = 8 * NUMBERS;
/** What is before the body is seldom longer: so much is read before it is known. */
const USUAL_HEAD_BYTES = 512;
const WRITTEN_OUT = 0xffff;
const BASES: readonly LifetimeBasis[] = ["s-maxage", "max-age", "expires", "heuristic", "none"];
const NO_TAGS: readonly string[] = [];

/** Names as they were sent, and in lower case. */
interface NameList {
  readonly names: readonly string[];
  readonly lowers: readonly string[];
}

/** What most responses do not have, or have in common with all others. */
interface Extras {
  readonly variant?: Variant;
  readonly tags?: readonly string[];
  /** Joined by line feeds, which none of them holds. */
  readonly names?: string;
  readonly control?: CacheControl;
}

/** An origin that says the same of many responses is read once. Joined by line feeds, which none of them holds. */
const namesOf = ofSameFields((fields) =>
  Array.from({ length: fields.length }, (_, index) => fields.name(index)).join("\n"),
);

function nameList(joined: string): NameList {
  const names = joined === "" ? [] : joined.split("\n");
  return { names, lowers: names.map((name) => name.toLowerCase()) };
}

/** Writes stored responses into records, and makes responses of them again. */
export class ResponsePacker {
  readonly #log: RecordLog;
  readonly #names = new Interned<NameList>();
  readonly #controls = new Interned<CacheControl>();
  /** What has been parsed from the same field is the same object. */
  readonly #numbersOfControls = new WeakMap<CacheControl, number>();
  readonly #origins = new Interned<string>();
  readonly #values = new ValuePacker();
  /** A record on its way into the log. To make room for it others may be read. */
  readonly #packed: Buffer<ArrayBuffer>;
  /** What is before the body of a record that is read. */
  readonly #read: Buffer<ArrayBuffer>;

  constructor(log: RecordLog) {
    this.#log = log;
    this.#packed = Buffer.from(new ArrayBuffer(log.recordBytesMax));
    this.#read = Buffer.from(new ArrayBuffer(log.recordBytesMax));
  }

  /** Copies `response`, body included, to a new record; undefined when it is not one for a record, or there is no room for it. */
  pack(response: StoredResponse): number | undefined {
    const { body, bodyBytes, parts, onlyForRange } = response;
    if (parts !== undefined || onlyForRange !== undefined || body.bytes !== bodyBytes) return undefined;
    if (bodyBytes > this.#log.recordBytesMax) return undefined;
    const headBytes = this.#packHead(response);
    if (headBytes === undefined) return undefined;
    const length = headBytes + bodyBytes;
    if (!readFully(response, this.#packed.subarray(headBytes, length))) return undefined;
    return this.#log.add(this.#packed, length);
  }

  /** The response in a record, made anew. */
  unpack(id: number): StoredResponse {
    const length = this.#log.lengthOf(id);
    const bytes = this.#read;
    const readBytes = Math.min(length, USUAL_HEAD_BYTES);
    this.#log.read(id, 0, bytes, readBytes);
    const bodyBytes = bytes.readUInt16LE(FIELD.bodyBytes);
    const headBytes = length - bodyBytes;
    if (headBytes > readBytes) this.#log.read(id, 0, bytes, headBytes);
    return this.#unpackHead(headBytes, new PackedBody(this.#log, id, bodyBytes));
  }

  /** Writes all that is before the body, and gives its length; undefined when with the body it would be too long for a record. */
  #packHead(response: StoredResponse): number | undefined {
    const values = this.#values.pack(response.fields);
    if (values === undefined) return undefined;
    const names = namesOf(response.fields);
    const shared = this.#sharedOf(response.freshness.control, names);
    const extras = renderExtras(response, names, shared);
    const extrasBytes = Buffer.byteLength(extras);
    const origin = originIn(response.key);
    const originNumber = this.#origins.number(origin, () => origin);
    const target = originNumber === undefined ? response.key : response.key.slice(origin.length);
    const restBytes = 2 * values.slots.length + values.text.length + extrasBytes + Buffer.byteLength(target);
    const { recordBytesMax } = this.#log;
    if (FIELD.numbers + NUMBERS_BYTES_MAX + restBytes + response.bodyBytes > recordBytesMax) return undefined;
    const bytes = this.#packed;
    bytes.writeUInt16LE(response.bodyBytes, FIELD.bodyBytes);
    bytes.writeUInt16LE(response.stripe, FIELD.stripe);
    bytes.writeUInt16LE(response.status, FIELD.status);
    bytes.writeUInt16LE(shared.names ?? WRITTEN_OUT, FIELD.names);
    bytes.writeUInt16LE(shared.control ?? WRITTEN_OUT, FIELD.control);
    bytes.writeUInt16LE(originNumber ?? WRITTEN_OUT, FIELD.origin);
    const { end, sizes } = writeNumbers(bytes, FIELD.numbers, numbersOf(response, extrasBytes));
    bytes.writeUInt32LE(sizes, FIELD.sizes);
    let at = end;
    if (extrasBytes > 0) at += bytes.write(extras, at, extrasBytes, "utf8");
    for (const slot of values.slots) at = bytes.writeUInt16LE(slot, at);
    writeLatin1(bytes, values.text, at);
    at += values.text.length;
    return at + bytes.write(target, at, "utf8");
  }

  /** What the first `headBytes` bytes that have been read say. */
  #unpackHead(headBytes: number, body: PackedBody): StoredResponse {
    const bytes = this.#read;
    const { end, numbers } = readNumbers(bytes, FIELD.numbers, bytes.readUInt32LE(FIELD.sizes), NUMBERS);
    const extrasEnd = end + numbers[NUMBER.extrasBytes]!;
    const extras: Extras = extrasEnd === end ? {} : JSON.parse(bytes.toString("utf8", end, extrasEnd));
    const { names, lowers } = this.#namesOf(extras);
    const slots: number[] = [];
    let at = extrasEnd;
    for (; slots.length < names.length; at += 2) slots.push(bytes.readUInt16LE(at));
    const textEnd = at + ValuePacker.textBytes(slots);
    const values = this.#values.unpack({ slots, text: bytes.toString("latin1", at, textEnd) });
    const fields = new Fields(names.slice(), values, lowers.slice());
    const origin = bytes.readUInt16LE(FIELD.origin);
    const target = bytes.toString("utf8", textEnd, headBytes);
    return {
      key: origin === WRITTEN_OUT ? target : this.#origins.value(origin) + target,
      stripe: bytes.readUInt16LE(FIELD.stripe),
      variant: extras.variant ?? ANY_REQUEST,
      status: bytes.readUInt16LE(FIELD.status),
      fields,
      headBlock: renderHeadBlock(fields, "ours"),
      freshness: this.#freshnessOf(numbers, extras),
      tags: extras.tags ?? NO_TAGS,
      quietUntilMs: 0,
      purgesSeen: numbers[NUMBER.purgesSeen]!,
      filledAfter: numbers[NUMBER.filledAfter]!,
      sharedAs: numbers[NUMBER.sharedAs]!,
      body,
      bodyBytes: body.bytes,
    };
  }

  #sharedOf(control: CacheControl, names: string): { names: number | undefined; control: number | undefined } {
    return {
      names: this.#names.number(names, () => nameList(names)),
      control: this.#numbersOfControls.get(control) ?? this.#numberOf(control),
    };
  }

  #numberOf(control: CacheControl): number | undefined {
    const number = this.#controls.number(JSON.stringify(control), () => control);
    if (number !== undefined) this.#numbersOfControls.set(control, number);
    return number;
  }

  #namesOf({ names = "" }: Extras): NameList {
    const number = this.#read.readUInt16LE(FIELD.names);
    return number === WRITTEN_OUT ? nameList(names) : this.#names.value(number);
  }

  #freshnessOf(numbers: readonly number[], extras: Extras): Freshness {
    const control = this.#read.readUInt16LE(FIELD.control);
    return {
      lifetimeMs: numbers[NUMBER.lifetimeMs]!,
      basis: BASES[numbers[NUMBER.basis]!]!,
      initialAgeMs: numbers[NUMBER.initialAgeMs]!,
      responseTimeMs: numbers[NUMBER.responseTimeMs]!,
      control: control === WRITTEN_OUT ? extras.control! : this.#controls.value(control),
    };
  }
}

/** In the order of {@link NUMBER}. */
function numbersOf({ freshness, purgesSeen, filledAfter, sharedAs }: StoredResponse, extrasBytes: number): number[] {
  const { responseTimeMs, lifetimeMs, initialAgeMs, basis } = freshness;
  const basisNumber = BASES.indexOf(basis);
  return [extrasBytes, responseTimeMs, lifetimeMs, initialAgeMs, purgesSeen, filledAfter, sharedAs, basisNumber];
}

/** What is before the target in a key, which all keys of an origin share; nothing where the key is no such one. */
function originIn(key: string): string {
  const schemeEnd = key.indexOf("://");
  const targetStart = schemeEnd < 0 ? -1 : key.indexOf("/", schemeEnd + 3);
  return targetStart < 0 ? "" : key.slice(0, targetStart);
}

function renderExtras(
  { variant, tags, freshness }: StoredResponse,
  names: string,
  shared: { names: number | undefined; control: number | undefined },
): string {
  const isForAny = variant.varyNames.length === 0 && variant.varyKey === "" && variant.byLanguage === undefined;
  if (isForAny && tags.length === 0 && shared.names !== undefined && shared.control !== undefined) return "";
  const extras: Extras = {
    ...(!isForAny && { variant }),
    ...(tags.length > 0 && { tags }),
    ...(shared.names === undefined && { names }),
    ...(shared.control === undefined && { control: freshness.control }),
  };
  return JSON.stringify(extras);
}

/** False when the body can not be read. */
function readFully({ body }: StoredResponse, into: Uint8Array): boolean {
  for (let done = 0; done < into.length; ) {
    const count = body.read(done, done === 0 ? into : into.subarray(done));
    if (count === 0) return false;
    done += count;
  }
  return true;
}
