import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Outgoing } from "./outgoing.ts";

/** A socket that takes what it is told to take; -1: it is closed. */
class Taker {
  received = "";
  writes = 0;
  room = Number.POSITIVE_INFINITY;

  write(bytes: Uint8Array): number {
    if (this.room < 0) return -1;
    this.writes++;
    const taken = Math.min(this.room, bytes.length);
    this.room -= taken;
    this.received += Buffer.from(bytes.subarray(0, taken)).toString("latin1");
    return taken;
  }
}

function outgoing(taker: Taker) {
  const told = { heldBack: 0, sent: 0 };
  const out = new Outgoing(taker as never, {
    onHeldBack: () => told.heldBack++,
    onSent: (bytes) => {
      told.sent += bytes;
    },
  });
  return { out, told };
}

describe("Outgoing", () => {
  test("small pieces leave in one write at the end of the turn", async () => {
    const taker = new Taker();
    const { out, told } = outgoing(taker);
    out.text("head\r\n\r\n");
    out.bytes(Buffer.from("body"));
    expect(taker.writes).toBe(0);
    await Promise.resolve();
    expect([taker.writes, taker.received, told.sent]).toEqual([1, "head\r\n\r\nbody", 12]);
  });

  test("two that write in one turn keep their octets apart", async () => {
    const [one, two] = [new Taker(), new Taker()];
    const [a, b] = [outgoing(one).out, outgoing(two).out];
    for (let index = 0; index < 10; index++) {
      a.text("a");
      b.bytes(Buffer.from("b"));
    }
    await Promise.resolve();
    expect([one.received, two.received]).toEqual(["a".repeat(10), "b".repeat(10)]);
  });

  test("a message is taken back as long as nothing of it has gone out, and leaves nothing behind", async () => {
    const taker = new Taker();
    const { out } = outgoing(taker);
    expect(out.takeBack()).toBe(false); // nothing was begun
    out.text("interim ");
    out.begin();
    out.text("head ");
    expect(out.takeBack()).toBe(true);
    out.begin();
    out.hold();
    out.text("held ");
    out.bytes(new Uint8Array(100_000));
    expect(out.takeBack()).toBe(true);
    out.text("another");
    out.flush();
    expect(taker.received).toBe("interim another");
    expect(out.takeBack()).toBe(false);
  });

  test("what has gone out in part, or is behind what waits, can not be taken back", () => {
    const taker = new Taker();
    const { out } = outgoing(taker);
    taker.room = 2;
    out.begin();
    out.bytes(Buffer.from("head"));
    out.flush();
    expect(out.takeBack()).toBe(false);
    out.begin();
    out.bytes(Buffer.from("next"));
    expect(out.takeBack()).toBe(false);
    taker.room = Number.POSITIVE_INFINITY;
    out.flush();
    out.drained();
    expect(taker.received).toBe("headnext");
  });

  test("what is held goes out in order once it is released", async () => {
    const taker = new Taker();
    const { out } = outgoing(taker);
    out.text("before ");
    out.hold();
    out.text("head ");
    out.bytes(new Uint8Array(100_000).fill(0x2e));
    await Promise.resolve();
    out.text(" end");
    expect([taker.received, out.isHeldBack]).toEqual(["", true]);
    out.release();
    expect(taker.received).toBe(`before head ${".".repeat(100_000)} end`);
    expect(out.isHeldBack).toBe(false);
  });

  test("discard() lets nothing out any more", async () => {
    const taker = new Taker();
    const { out } = outgoing(taker);
    out.text("x");
    out.discard();
    await Promise.resolve();
    expect(taker.received).toBe("");
  });

  test("a closed socket takes nothing, and nothing is thrown", async () => {
    const taker = new Taker();
    taker.room = -1;
    const { out } = outgoing(taker);
    out.text("x");
    await Promise.resolve();
    expect(out.isHeldBack).toBe(true);
    out.drained();
    out.discard();
    expect(out.isHeldBack).toBe(false);
  });

  test("whatever the kernel takes when, every octet arrives once and in order", () => {
    const piece = fc.oneof(fc.nat(50), fc.nat(200_000));
    const action = fc.oneof(
      fc.record({ kind: fc.constantFrom("text" as const, "bytes" as const), length: piece }),
      fc.record({ kind: fc.constantFrom("flush" as const, "drain" as const), length: fc.nat(100_000) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
        const taker = new Taker();
        taker.room = 0;
        const { out, told } = outgoing(taker);
        let expected = "";
        for (const [index, { kind, length }] of actions.entries()) {
          const letter = String.fromCharCode(97 + (index % 26));
          if (kind === "text") out.text(letter.repeat(length));
          else if (kind === "bytes") out.bytes(Buffer.alloc(length, letter));
          else if (kind === "flush") out.flush();
          else {
            taker.room = length;
            out.drained();
          }
          if (kind === "text" || kind === "bytes") expected += letter.repeat(length);
        }
        out.flush();
        taker.room = Number.POSITIVE_INFINITY;
        out.drained();
        expect(taker.received === expected).toBe(true);
        expect([told.sent, out.isHeldBack]).toEqual([expected.length, false]);
      }),
      { numRuns: 300 },
    );
  });
});
