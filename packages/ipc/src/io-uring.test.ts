import { ptr } from "bun:ffi";
import { expect, test } from "bun:test";
import { seeded } from "../test/seeded.ts";
import { socketPair } from "../test/socket-pair.ts";
import { ERRNO } from "./errno.ts";
import { IORING_OP, IoUring, SQE, writeAddress } from "./io-uring.ts";
import { libc } from "./libc.ts";
import { MSG } from "./sockets/numbers.ts";

const ENTRIES = 8;
/** Not where it is forbidden, as in most containers: tests/processes/without-io-uring.test.ts is about that. */
const testOfRing = test.skipIf(!isThere());

function isThere(): boolean {
  const ring = IoUring.open(1);
  ring?.close();
  return ring !== undefined;
}

function write(
  ring: IoUring,
  index: number,
  words: { opcode: number; fildes: number; bytes: Uint8Array; data: number },
) {
  const at = index * SQE.words;
  ring.calls[at + SQE.opcode] = words.opcode;
  ring.calls[at + SQE.fildes] = words.fildes;
  writeAddress(ring.calls, at + SQE.address, ptr(words.bytes));
  ring.calls[at + SQE.bytes] = words.bytes.length;
  ring.calls[at + SQE.flags] = MSG.DONTWAIT;
  ring.calls[at + SQE.userData] = words.data;
}

testOfRing(
  "IoUring makes calls in their order and tells what each has returned, round its ring again and again",
  () => {
    const random = seeded();
    const ring = IoUring.open(ENTRIES)!;
    const [left, right] = socketPair();
    const sent = new Uint8Array(new ArrayBuffer(ENTRIES));
    const got = new Uint8Array(new ArrayBuffer(ENTRIES));
    const results = new Int32Array(ENTRIES);
    try {
      for (let round = 0; round < 1000; round++) {
        const count = 1 + Math.floor(random() * (ENTRIES / 2));
        const first = Math.floor(random() * (ENTRIES / 2));
        for (let at = 0; at < count; at++) {
          sent[at] = random() * 256;
          write(ring, first + at, { opcode: IORING_OP.SEND, fildes: left, bytes: sent.subarray(at, at + 1), data: at });
        }
        ring.submit(first, count, results);
        expect([...results.subarray(0, count)]).toEqual(Array.from({ length: count }, () => 1));
        write(ring, 0, { opcode: IORING_OP.RECV, fildes: right, bytes: got, data: 0 });
        write(ring, 1, { opcode: IORING_OP.RECV, fildes: right, bytes: got.subarray(count), data: 1 });
        ring.submit(0, 2, results);
        expect([results[0], results[1]]).toEqual([count, -ERRNO.EAGAIN]); // it does not wait for more
        expect(got.subarray(0, count)).toEqual(sent.subarray(0, count));
      }
    } finally {
      ring.close();
      libc().close(left);
      libc().close(right);
    }
  },
);

testOfRing("IoUring tells the error of one call and makes those behind it", () => {
  const ring = IoUring.open(ENTRIES)!;
  const [left, right] = socketPair();
  const bytes = new Uint8Array(new ArrayBuffer(10));
  const results = new Int32Array(ENTRIES);
  try {
    libc().close(right);
    write(ring, 0, { opcode: IORING_OP.SEND, fildes: right, bytes, data: 0 });
    write(ring, 1, { opcode: 250, fildes: left, bytes, data: 1 });
    write(ring, 2, { opcode: IORING_OP.RECV, fildes: left, bytes, data: 2 });
    ring.submit(0, 3, results);
    expect([...results.subarray(0, 3)]).toEqual([-EBADF, -ERRNO.EINVAL, 0]);
  } finally {
    ring.close();
    libc().close(left);
  }
});

const EBADF = 9;
