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
import type { RecordLog } from "./record-log.ts";

/**
 * A stored response with a small body as one record of a {@link RecordLog}: about 76 bytes beside its key, its field values and its body, where
 * the objects that stand for one in use take some 2,800. Integers are little-endian.
 *
 *   offset  bytes  field
 *        0      8  responseTimeMs
 *        8      8  lifetimeMs
 *       16      8  initialAgeMs
 *       24      8  purgesSeen
 *       32      4  bodyBytes
 *       36      4  valuesBytes
 *       40      4  extrasBytes
 *       44      2  keyBytes
 *       46      2  stripe
 *       48      2  status
 *       50      2  names       number of an interned list of field names; WRITTEN_OUT: they are among the extras
 *       52      2  control     number of interned directives; WRITTEN_OUT: they are among the extras
 *       54      1  basis       of the lifetime
 *       55      1  unused
 *       56      8  filledAfter
 *       64      8  sharedAs
 *       72    2*n  lengths of the n field values
 *              ..  key (UTF-8), values (Latin-1), extras (JSON, UTF-8; empty where there are none), body
 */
const FIELD = {
  responseTimeMs: 0,
  lifetimeMs: 8,
  initialAgeMs: 16,
  purgesSeen: 24,
  bodyBytes: 32,
  valuesBytes: 36,
  extrasBytes: 40,
  keyBytes: 44,
  stripe: 46,
  status: 48,
  names: 50,
  control: 52,
  basis: 54,
  filledAfter: 56,
  sharedAs: 64,
  valueLengths: 72,
} as const;
/** What is before the body is seldom longer: so much is read before it is known. */
const USUAL_HEAD_BYTES = 512;
const WRITTEN_OUT = 0xffff;
const LENGTH_MAX = 0xffff;
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

/** The lines of a section as they go into a record. */
interface Lines {
  /** Joined by line feeds, which none of them holds. */
  readonly names: string;
  readonly lengths: readonly number[];
  /** Back to back. */
  readonly values: string;
  /** Each value's length can be written down. */
  readonly areShort: boolean;
}

/** An origin that says the same of many responses is read once. */
const linesOf = ofSameFields((fields): Lines => {
  const names: string[] = [];
  const lengths: number[] = [];
  let values = "";
  for (const [name, value] of fields) {
    names.push(name);
    lengths.push(value.length);
    values += value;
  }
  return { names: names.join("\n"), lengths, values, areShort: lengths.every((length) => length <= LENGTH_MAX) };
});

function nameList(joined: string): NameList {
  const names = joined === "" ? [] : joined.split("\n");
  return { names, lowers: names.map((name) => name.toLowerCase()) };
}

/** Writes stored responses into records, and makes responses of them again. */
export class ResponsePacker {
  readonly #log: RecordLog;
  /** A record on its way into the log, or what is before the body of one that is read. Over a buffer of its own, so that its bytes do not move. */
  readonly #bytes: Buffer<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  readonly #names = new Interned<NameList>();
  readonly #controls = new Interned<CacheControl>();
  /** What has been parsed from the same field is the same object. */
  readonly #numbersOfControls = new WeakMap<CacheControl, number>();

  constructor(log: RecordLog) {
    this.#log = log;
    const buffer = new ArrayBuffer(log.recordBytesMax);
    this.#bytes = Buffer.from(buffer);
    this.#view = new DataView(buffer);
  }

  /** Copies `response`, body included, to a new record; undefined when it is not one for a record, or there is no room for it. */
  pack(response: StoredResponse): number | undefined {
    const { key, fields, body, bodyBytes, parts, onlyForRange } = response;
    if (parts !== undefined || onlyForRange !== undefined || body.bytes !== bodyBytes) return undefined;
    if (bodyBytes > this.#log.recordBytesMax) return undefined;
    const { names, lengths, values, areShort } = linesOf(fields);
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes > LENGTH_MAX || !areShort) return undefined;
    const shared = this.#sharedOf(response.freshness.control, names);
    const extras = renderExtras(response, names, shared);
    const extrasBytes = Buffer.byteLength(extras);
    const valuesBytes = values.length;
    const id = this.#log.add(
      FIELD.valueLengths + 2 * lengths.length + keyBytes + valuesBytes + extrasBytes + bodyBytes,
    );
    if (id === undefined) return undefined;
    const bytes = this.#bytes;
    const view = this.#view;
    writeNumbers(view, response);
    view.setUint32(FIELD.valuesBytes, valuesBytes, true);
    view.setUint32(FIELD.extrasBytes, extrasBytes, true);
    view.setUint16(FIELD.keyBytes, keyBytes, true);
    view.setUint16(FIELD.names, shared.names ?? WRITTEN_OUT, true);
    view.setUint16(FIELD.control, shared.control ?? WRITTEN_OUT, true);
    let at: number = FIELD.valueLengths;
    for (const length of lengths) {
      view.setUint16(at, length, true);
      at += 2;
    }
    at += bytes.write(key, at, keyBytes, "utf8");
    writeLatin1(bytes, values, at);
    at += valuesBytes;
    if (extrasBytes > 0) at += bytes.write(extras, at, extrasBytes, "utf8");
    if (!readFully(response, bytes.subarray(at, at + bodyBytes))) {
      this.#log.free(id);
      return undefined;
    }
    this.#log.write(id, bytes);
    return id;
  }

  /** The response in a record, made anew. */
  unpack(id: number): StoredResponse {
    const length = this.#log.lengthOf(id);
    const bytes = this.#bytes;
    const view = this.#view;
    const readBytes = Math.min(length, USUAL_HEAD_BYTES);
    this.#log.read(id, 0, bytes, readBytes);
    const bodyBytes = view.getUint32(FIELD.bodyBytes, true);
    const extrasEnd = length - bodyBytes;
    if (extrasEnd > readBytes) this.#log.read(id, 0, bytes, extrasEnd);
    const valuesBytes = view.getUint32(FIELD.valuesBytes, true);
    const extrasBytes = view.getUint32(FIELD.extrasBytes, true);
    const keyBytes = view.getUint16(FIELD.keyBytes, true);
    const valuesEnd = extrasEnd - extrasBytes;
    const keyEnd = valuesEnd - valuesBytes;
    const extras: Extras = extrasBytes === 0 ? {} : JSON.parse(bytes.toString("utf8", valuesEnd, extrasEnd));
    const values = bytes.toString("latin1", keyEnd, valuesEnd);
    const fields = readFields(view, FIELD.valueLengths, values, this.#namesAt(view, extras));
    return {
      key: bytes.toString("utf8", keyEnd - keyBytes, keyEnd),
      stripe: view.getUint16(FIELD.stripe, true),
      variant: extras.variant ?? ANY_REQUEST,
      status: view.getUint16(FIELD.status, true),
      fields,
      headBlock: renderHeadBlock(fields, "ours"),
      freshness: this.#freshnessAt(view, extras),
      tags: extras.tags ?? NO_TAGS,
      quietUntilMs: 0,
      purgesSeen: view.getFloat64(FIELD.purgesSeen, true),
      filledAfter: view.getFloat64(FIELD.filledAfter, true),
      sharedAs: view.getFloat64(FIELD.sharedAs, true),
      body: new PackedBody(this.#log, id, bodyBytes),
      bodyBytes,
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

  #namesAt(view: DataView, { names = "" }: Extras): NameList {
    const number = view.getUint16(FIELD.names, true);
    return number === WRITTEN_OUT ? nameList(names) : this.#names.value(number);
  }

  #freshnessAt(view: DataView, extras: Extras): Freshness {
    const control = view.getUint16(FIELD.control, true);
    return {
      lifetimeMs: view.getFloat64(FIELD.lifetimeMs, true),
      basis: BASES[view.getUint8(FIELD.basis)]!,
      initialAgeMs: view.getFloat64(FIELD.initialAgeMs, true),
      responseTimeMs: view.getFloat64(FIELD.responseTimeMs, true),
      control: control === WRITTEN_OUT ? extras.control! : this.#controls.value(control),
    };
  }
}

function writeNumbers(
  view: DataView,
  { freshness, purgesSeen, filledAfter, sharedAs, stripe, status, bodyBytes }: StoredResponse,
): void {
  view.setFloat64(FIELD.responseTimeMs, freshness.responseTimeMs, true);
  view.setFloat64(FIELD.lifetimeMs, freshness.lifetimeMs, true);
  view.setFloat64(FIELD.initialAgeMs, freshness.initialAgeMs, true);
  view.setFloat64(FIELD.purgesSeen, purgesSeen, true);
  view.setFloat64(FIELD.filledAfter, filledAfter, true);
  view.setFloat64(FIELD.sharedAs, sharedAs, true);
  view.setUint32(FIELD.bodyBytes, bodyBytes, true);
  view.setUint16(FIELD.stripe, stripe, true);
  view.setUint16(FIELD.status, status, true);
  view.setUint8(FIELD.basis, BASES.indexOf(freshness.basis));
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

/** @param lengthsAt Where the lengths of the values are. */
function readFields(view: DataView, lengthsAt: number, text: string, { names, lowers }: NameList): Fields {
  const values: string[] = [];
  let from = 0;
  for (let index = 0; index < names.length; index++) {
    const to = from + view.getUint16(lengthsAt + 2 * index, true);
    values.push(text.slice(from, to));
    from = to;
  }
  return new Fields(names.slice(), values, lowers.slice());
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
