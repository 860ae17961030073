import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ACCESS_RECORD_BYTES_MAX, type AccessRecord } from "./access-record.ts";
import {
  AccessReader,
  type AccessRingsCopy,
  AccessRingWriter,
  accessRingsBytes,
  initAccessRings,
  wantAllRecords,
} from "./access-ring.ts";

const RECORD: AccessRecord = {
  sequence: 0,
  startedMs: 1_700_000_000_000.5,
  firstByteMs: 1.5,
  totalMs: 2.25,
  originMs: undefined,
  status: 200,
  verdict: "uri-miss",
  aborted: false,
  stored: true,
  collapsed: false,
  stale: false,
  wire: "http",
  minorVersion: 1,
  isTls: false,
  bytes: 2 ** 40,
  weight: 64,
  method: "GET",
  target: "/a?b=\x9b\xff",
  host: "example.org",
  client: "127.0.0.1",
  referer: "",
  userAgent: "curl",
  trace: "",
};

function rings(ringBytes: number, threads = 1) {
  const buffer = new ArrayBuffer(accessRingsBytes(threads, ringBytes));
  initAccessRings(buffer, { life: 7, threads, ringBytes });
  return buffer;
}

/** @param meanwhile Happens when the first half of a part has been copied. */
function copyOf(rings: ArrayBuffer, meanwhile = () => {}): AccessRingsCopy {
  const buffer = rings.slice(0);
  const copy = (from: ArrayBuffer, to: ArrayBuffer, offset: number, length: number) =>
    new Uint8Array(to).set(new Uint8Array(from, offset, length), offset);
  return {
    buffer,
    refresh(offset, length) {
      const half = length > 8 ? (length >> 4) * 8 : length; // the words of a ring are copied as one
      copy(rings, buffer, offset, half);
      meanwhile();
      copy(rings, buffer, offset + half, length - half);
      return true;
    },
    writeBack(offset, length) {
      copy(buffer, rings, offset, length);
      return true;
    },
  };
}

function readAll(reader: AccessReader): { records: AccessRecord[]; lost: number } {
  const records: AccessRecord[] = [];
  const lost = reader.read((record) => records.push(record)) as number;
  return { records, lost };
}

function rubbishWithTail(tail: number): Uint8Array {
  const rubbish = new Uint8Array(8192);
  new DataView(rubbish.buffer).setUint32(0, tail, true);
  new DataView(rubbish.buffer).setUint32(4, tail + 0x1000000, true);
  return rubbish;
}

describe("access rings", () => {
  test("give back what was written, thread by thread", () => {
    const buffer = rings(8192, 2);
    const reader = AccessReader.over(copyOf(buffer), "oldest")!;
    expect(reader.life).toBe(7);
    const odd: AccessRecord = {
      ...RECORD,
      firstByteMs: undefined,
      originMs: 12.5,
      verdict: "pass",
      aborted: true,
      stored: false,
      collapsed: true,
      stale: true,
      wire: "getfile",
      minorVersion: 0,
      isTls: true,
      trace: "t s p",
    };
    new AccessRingWriter(buffer, 1).write({ ...odd });
    new AccessRingWriter(buffer, 0).write({ ...RECORD });
    const seen: [number, AccessRecord][] = [];
    expect(reader.read((record, thread) => seen.push([thread, record]))).toBe(0);
    expect(seen).toEqual([
      [0, { ...RECORD, sequence: 1 }],
      [1, { ...odd, sequence: 1 }],
    ]);
    expect(readAll(reader).records).toEqual([]);
  });

  test("cut texts that are too long, and none of the others", () => {
    const buffer = rings(8192);
    const reader = AccessReader.over(copyOf(buffer), "oldest")!;
    const long = "x".repeat(20_000);
    new AccessRingWriter(buffer, 0).write({ ...RECORD, target: long, userAgent: long, referer: long, host: long });
    const [record] = readAll(reader).records;
    expect([record!.target.length, record!.userAgent.length, record!.client]).toEqual([2048, 512, "127.0.0.1"]);
  });

  test("whatever is written and read in whichever order, each record is read once and whole, or counted as lost", () => {
    const written = fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 30 });
    const step = fc.oneof(
      fc.record({ write: written }),
      fc.record({ readAndWrite: fc.array(written, { maxLength: 4 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 7 }), (steps, wrapsBefore) => {
        const buffer = rings(8192);
        // Positions that are about to wrap at 2^32.
        const words = new Int32Array(buffer, 64, 2);
        words.fill((-wrapsBefore * 1024) | 0);
        const writer = new AccessRingWriter(buffer, 0);
        const meanwhile: number[][] = [];
        const reader = AccessReader.over(
          copyOf(buffer, () => write(meanwhile.shift() ?? [])),
          "now",
        )!;
        let written = 0;
        let first: number | undefined;
        let last = 0;
        let seen = 0;
        let lost = 0;
        const write = (sizes: readonly number[]) => {
          for (const size of sizes) {
            writer.write({ ...RECORD, status: size >> 2, target: "t".repeat((size >> 2) * 4) });
            written++;
          }
        };
        const read = () => {
          const lostNow = reader.read((record) => {
            expect(record.sequence).toBeGreaterThan(last);
            expect(record.target).toBe("t".repeat(Math.min(2048, record.status * 4)));
            first ??= record.sequence;
            last = record.sequence;
            seen++;
          });
          lost += lostNow as number;
        };
        for (const one of steps) {
          if ("write" in one) write(one.write);
          else {
            meanwhile.push(...one.readAndWrite);
            read();
          }
        }
        meanwhile.length = 0;
        writer.write({ ...RECORD, status: 0, target: "" });
        read();
        expect(last).toBe(written + 1);
        expect(seen + lost).toBe(last - first! + 1); // before its first record a reader can not know what it has missed
      }),
    );
  });

  test("a reader that is overtaken counts what it has lost, exactly", () => {
    const buffer = rings(8192);
    const writer = new AccessRingWriter(buffer, 0);
    const reader = AccessReader.over(copyOf(buffer), "now")!;
    writer.write({ ...RECORD });
    expect(readAll(reader)).toMatchObject({ lost: 0, records: [{ sequence: 1 }] });
    for (let count = 0; count < 1000; count++) writer.write({ ...RECORD });
    const { records, lost } = readAll(reader);
    expect(records.length).toBeGreaterThan(50);
    expect(lost + records.length).toBe(1000);
    expect(records.at(-1)!.sequence).toBe(1001);
  });

  test("what is no ring is not read, and rubbish in one neither throws nor loops", () => {
    expect(AccessReader.over(copyOf(new ArrayBuffer(16)), "oldest")).toBeUndefined();
    expect(AccessReader.over(copyOf(new ArrayBuffer(4096)), "oldest")).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8192, maxLength: 8192 }), (rubbish) => {
        const buffer = rings(8192);
        new AccessRingWriter(buffer, 0).write({ ...RECORD });
        const reader = AccessReader.over(copyOf(buffer), "oldest")!;
        new Uint8Array(buffer).set(rubbish.subarray(0, 8192), 64);
        readAll(reader);
        readAll(reader);
      }),
      // A tail near the end of the ring that is no multiple of 8.
      { numRuns: 200, examples: [[rubbishWithTail(65_533)]] },
    );
    expect(ACCESS_RECORD_BYTES_MAX).toBeLessThan(8192);
  });

  test("somebody wants all until then, and a shorter wish does not end a longer one", () => {
    const buffer = rings(8192);
    const writer = new AccessRingWriter(buffer, 0);
    expect(writer.wantsAll(1000)).toBe(false);
    wantAllRecords(buffer, 3000);
    expect(AccessReader.over(copyOf(buffer), "now")!.wantAll(2000)).toBe(true);
    expect([writer.wantsAll(2999), writer.wantsAll(3000)]).toEqual([true, false]);
  });

  test("wishes of a reader reach the rings, and it is told when they have been cut", () => {
    const buffer = rings(8192);
    const copy = copyOf(buffer);
    const reader = AccessReader.over(copy, "now")!;
    reader.wantAll(3000);
    expect(new AccessRingWriter(buffer, 0).wantsAll(2999)).toBe(true);
    copy.refresh = () => false;
    expect([reader.wantAll(4000), reader.read(() => {})]).toEqual([false, "cut"]);
  });
});
