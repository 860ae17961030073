import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MultipartBody } from "./multipart-body.ts";
import { PARTS_MAX, Parts } from "./parts.ts";
import type { ReadableBody } from "./reply.ts";
import { BlockList } from "./storage/block-list.ts";

const LENGTH = 5000;
const WHOLE = Uint8Array.from({ length: LENGTH }, (_, index) => (index * 7 + (index >> 8)) % 251);

/** Counts what bodies take and give back. */
class CountingRoom {
  usedBytes = 0;
  take(bytes: number): boolean {
    this.usedBytes += bytes;
    return true;
  }
  giveBack(bytes: number): void {
    this.usedBytes -= bytes;
  }
}

function bodyOf(bytes: Uint8Array, room = new CountingRoom()): BlockList {
  const body = new BlockList(room, bytes.length);
  body.append(bytes);
  body.release();
  return body;
}

function read(body: ReadableBody, start: number, end: number): Uint8Array {
  const into = new Uint8Array(end - start);
  for (let done = 0; done < into.length; ) {
    const count = body.read(start + done, into.subarray(done));
    if (count === 0) throw new Error(`nothing at ${start + done}`);
    done += count;
  }
  return into;
}

const range = fc
  .tuple(fc.nat(LENGTH - 1), fc.integer({ min: 1, max: 900 }))
  .map(([start, bytes]) => ({ start, end: Math.min(LENGTH, start + bytes) }));

describe("Parts", () => {
  test("whatever parts come in whatever order, each byte that is there is the whole's, and room is given back", () => {
    fc.assert(
      fc.property(
        fc.array(range, { minLength: 1, maxLength: 30 }),
        fc.array(range, { maxLength: 10 }),
        (added, asked) => {
          const room = new CountingRoom();
          const parts = new Parts(LENGTH);
          const isHeld = new Uint8Array(LENGTH);
          for (const one of added) {
            parts.add(one, bodyOf(WHOLE.slice(one.start, one.end), room));
            isHeld.fill(1, one.start, one.end);
          }
          expect(parts.bytes).toBe(isHeld.reduce((sum, held) => sum + held, 0));
          for (const one of [...asked, ...parts.held]) {
            const covers = isHeld.subarray(one.start, one.end).every((held) => held === 1);
            expect(parts.covers(one)).toBe(covers);
            if (covers) expect(read(parts.view(), one.start, one.end)).toEqual(WHOLE.slice(one.start, one.end));
          }
          const before = parts.view();
          before.retain();
          parts.discard();
          for (const { start, end } of parts.held) expect(read(before, start, end)).toEqual(WHOLE.slice(start, end));
          before.release();
          expect(room.usedBytes).toBe(0);
        },
      ),
    );
  });

  test("a prefix and a tail that is still growing read as one body", () => {
    const parts = new Parts(LENGTH);
    parts.add({ start: 0, end: 2000 }, bodyOf(WHOLE.slice(0, 2000)));
    const tail = new BlockList(new CountingRoom());
    const view = parts.view({ start: 2000, body: tail });
    expect(view.bytes).toBe(2000);
    tail.append(WHOLE.slice(2000, 3000));
    expect(view.bytes).toBe(3000);
    expect(read(view, 1500, 3000)).toEqual(WHOLE.slice(1500, 3000));
    tail.append(WHOLE.slice(3000));
    expect(read(view, 0, LENGTH)).toEqual(WHOLE);
  });

  test(`beyond ${PARTS_MAX} bodies nothing is added`, () => {
    const room = new CountingRoom();
    const parts = new Parts(LENGTH);
    for (let part = 0; part < PARTS_MAX + 5; part++)
      parts.add({ start: part * 2, end: part * 2 + 1 }, bodyOf(WHOLE.slice(0, 1), room));
    expect(parts.bytes).toBe(PARTS_MAX);
    expect(room.usedBytes).toBe(PARTS_MAX);
  });
});

describe("MultipartBody", () => {
  test("holds each range between its delimiters, read in pieces of any size", () => {
    fc.assert(
      fc.property(fc.array(range, { minLength: 2, maxLength: 6 }), fc.integer({ min: 1, max: 700 }), (ranges, step) => {
        const whole = { completeBytes: LENGTH, contentType: "text/x" };
        const multipart = new MultipartBody(bodyOf(WHOLE), ranges, whole, "BOUND");
        let text = "";
        for (let position = 0; position < multipart.bytes; ) {
          const into = new Uint8Array(step);
          const count = multipart.read(position, into);
          expect(count).toBeGreaterThan(0);
          text += Buffer.from(into.subarray(0, count)).toString("latin1");
          position += count;
        }
        const parts = ranges.map(({ start, end }) => {
          const bytes = Buffer.from(WHOLE.slice(start, end)).toString("latin1");
          return `--BOUND\r\nContent-Type: text/x\r\nContent-Range: bytes ${start}-${end - 1}/${LENGTH}\r\n\r\n${bytes}\r\n`;
        });
        expect(text).toBe(`${parts.join("")}--BOUND--\r\n`);
        expect(multipart.contentType).toBe("multipart/byteranges; boundary=BOUND");
      }),
    );
  });
});
