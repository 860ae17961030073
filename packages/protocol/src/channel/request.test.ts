import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ChannelRequest,
  REQUEST_BYTES,
  REQUEST_MESSAGE_BYTES_MAX,
  REQUESTS_PER_MESSAGE,
  readRequest,
  requestsIn,
  writeRequest,
} from "./request.ts";

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const request: fc.Arbitrary<ChannelRequest> = fc.record({
  operation: fc.constantFrom("open", "read", "close", "invalidate", "keep"),
  thread: uint32,
  proxyLife: uint32,
  transfer: uint32,
  segmentId: uint32,
  segmentGeneration: uint32,
  segmentBytes: uint32,
  ticket: uint32,
  firstByte: fc.maxSafeNat(),
  bytesMax: uint32,
});

describe("readRequest()", () => {
  test("gives back what writeRequest() wrote, at every place of a message", () => {
    const seed = Date.now();
    const view = new DataView(new ArrayBuffer(REQUEST_MESSAGE_BYTES_MAX));
    fc.assert(
      fc.property(request, fc.integer({ min: 0, max: REQUESTS_PER_MESSAGE - 1 }), (written, index) => {
        writeRequest(view, index * REQUEST_BYTES, written);
        expect(readRequest(view, index * REQUEST_BYTES)).toEqual(written);
      }),
      { seed },
    );
  });

  test("refuses another version, an unknown operation, and a position beyond 2^53", () => {
    const view = new DataView(new ArrayBuffer(REQUEST_BYTES));
    const written = {
      operation: "read",
      thread: 1,
      proxyLife: 2,
      transfer: 3,
      segmentId: 4,
      segmentGeneration: 5,
      segmentBytes: 6,
      ticket: 7,
      firstByte: 8,
      bytesMax: 9,
    } as const;
    writeRequest(view, 0, written);
    view.setUint16(0, 99, true);
    expect(readRequest(view, 0)).toBeUndefined();
    writeRequest(view, 0, written);
    view.setUint8(2, 6);
    expect(readRequest(view, 0)).toBeUndefined();
    writeRequest(view, 0, written);
    view.setUint32(36, 0x200000, true);
    expect(readRequest(view, 0)).toBeUndefined();
  });

  test("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: REQUEST_BYTES, maxLength: REQUEST_BYTES }), (bytes) => {
        readRequest(new DataView(bytes.slice().buffer), 0);
      }),
    );
  });
});

test("requestsIn() takes whole records only, and no more than a message holds", () => {
  expect([0, 47, 49, 11 * REQUEST_BYTES].map(requestsIn)).toEqual([undefined, undefined, undefined, undefined]);
  expect([REQUEST_BYTES, 10 * REQUEST_BYTES].map(requestsIn)).toEqual([1, 10]);
  expect(REQUESTS_PER_MESSAGE * REQUEST_BYTES).toBeLessThanOrEqual(REQUEST_MESSAGE_BYTES_MAX);
});
