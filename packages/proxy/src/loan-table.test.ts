import { describe, expect, test } from "bun:test";
import { readFileSync, truncateSync } from "node:fs";
import { objectName, SharedMemory } from "@proj/ipc";
import { LoanTable } from "./loan-table.ts";
import { ReadyResponse } from "./ready-response.ts";

let next = 0;

/** An object as the cache makes one; its name goes when it is disposed of. */
function lent(bytes: number): { name: string; evict(): void; [Symbol.dispose](): void } {
  const name = objectName(`/test-${process.pid}-${crypto.randomUUID().slice(0, 8)}-loan-${next++}`);
  const memory = SharedMemory.create(name, bytes);
  memory.bytes.fill(next);
  memory.close();
  return { name, evict: () => SharedMemory.unlink(name), [Symbol.dispose]: () => void SharedMemory.unlink(name) };
}

function mappings(name: string): number {
  const maps = readFileSync("/proc/self/maps", "latin1");
  return maps.split("\n").filter((line) => line.includes(name.slice(1))).length;
}

describe("LoanTable", () => {
  test("maps an object once, however many borrow it, and keeps its bytes when the cache evicts it", () => {
    using body = lent(5000);
    const table = new LoanTable(100);
    const one = table.borrow(body.name, 5000)!;
    body.evict();
    const two = table.borrow(body.name, 5000)!;
    expect(two.bytes).toBe(one.bytes);
    expect(mappings(body.name)).toBe(1);
    one.giveBack();
    two.giveBack();
    table.close();
    expect(mappings(body.name)).toBe(0);
  });

  test("so many have a descriptor, and those beyond are copied when they are sent", () => {
    const table = new LoanTable(2);
    const bodies = Array.from({ length: 4 }, () => lent(4096));
    try {
      const loans = bodies.map(({ name }) => table.borrow(name, 4096)!);
      expect(loans.map(({ fildes }) => fildes !== undefined)).toEqual([true, true, false, false]);
      for (const { bytes } of loans) expect(bytes.length).toBe(4096);
      for (const loan of loans) loan.giveBack();
      table.close(); // what has gone counts no more
      const again = table.borrow(bodies[3]!.name, 4096)!;
      expect(again.fildes).toBeDefined();
      again.giveBack();
      table.close();
    } finally {
      for (const body of bodies) body[Symbol.dispose]();
    }
  });

  test("one that was cut short is broken once it was examined, and nobody borrows it any more", () => {
    using body = lent(8192);
    using gone = lent(8192);
    const table = new LoanTable(100);
    const [loan, evicted] = [table.borrow(body.name, 8192)!, table.borrow(gone.name, 8192)!];
    loan.examine();
    expect(loan.isBroken).toBe(false);
    for (const left of [4096, 0]) {
      truncateSync(`/dev/shm${body.name}`, left);
      expect(loan.isBroken).toBe(left === 0);
      loan.examine();
      expect(loan.isBroken).toBe(true);
      expect(table.borrow(body.name, 8192)).toBeUndefined();
    }
    gone.evict();
    evicted.examine();
    expect(evicted.isBroken).toBe(false); // the cache has taken its name away, and nothing else
    loan.giveBack();
    evicted.giveBack();
    table.close();
    expect(mappings(body.name) + mappings(gone.name)).toBe(0);
  });

  test("what is gone, or has another length than was said, is no loan", () => {
    using body = lent(5000);
    const table = new LoanTable(100);
    expect(table.borrow(body.name, 4999)).toBeUndefined();
    table.close();
    body.evict();
    expect(table.borrow(body.name, 5000)).toBeUndefined();
  });

  test("so many idle mappings are kept, and none that is being sent from is unmapped", () => {
    const table = new LoanTable(100);
    const bodies = Array.from({ length: 1040 }, () => lent(4096));
    const mapped = () => {
      const maps = readFileSync("/proc/self/maps", "latin1");
      return bodies.filter((body) => maps.includes(body.name)).length;
    };
    try {
      const used = table.borrow(bodies[0]!.name, 4096)!;
      for (const body of bodies.slice(1)) table.borrow(body.name, 4096)!.giveBack();
      expect(mapped()).toBe(1025);
      expect(used.bytes[4095]).toBe(used.bytes[0]!);
      used.giveBack();
      table.close();
      expect(mapped()).toBe(0);
    } finally {
      for (const body of bodies) body[Symbol.dispose]();
    }
  });

  test("of large ones fewer are kept", () => {
    const table = new LoanTable(100);
    const bodies = Array.from({ length: 5 }, () => lent(24 * 1024 * 1024));
    try {
      for (const body of bodies) table.borrow(body.name, 24 * 1024 * 1024)!.giveBack();
      expect(bodies.filter((body) => mappings(body.name) === 1)).toEqual(bodies.slice(3));
      table.close();
    } finally {
      for (const body of bodies) body[Symbol.dispose]();
    }
  });
});

const WHOLE = { fildes: 0, isBroken: false, examine() {} };

describe("ReadyResponse", () => {
  test("sends head and loan in pieces of any size, in order, and gives the loan back once", () => {
    for (const piece of [1, 7, 100, 1000]) {
      let givenBack = 0;
      const loan = { ...WHOLE, bytes: new Uint8Array(50).fill(2), retain() {}, giveBack: () => givenBack++ };
      const response = new ReadyResponse(new Uint8Array(20).fill(1), loan);
      const sent: number[] = [];
      let outcome = "waits";
      while (outcome === "waits") {
        let room = piece;
        const take = (bytes: Uint8Array) => {
          const taken = Math.min(room, bytes.length);
          room -= taken;
          sent.push(...bytes.subarray(0, taken));
          return taken;
        };
        outcome = response.send({ take, takeLoan: ({ bytes }, start) => take(bytes.subarray(start)) });
      }
      expect(outcome).toBe("sent");
      expect(sent).toEqual([...Array(20).fill(1), ...Array(50).fill(2)]);
      expect(givenBack).toBe(1);
    }
  });

  test("a connection that is gone: dropping gives the loan back", () => {
    let givenBack = 0;
    const response = new ReadyResponse(new Uint8Array(5), {
      ...WHOLE,
      bytes: new Uint8Array(5),
      retain() {},
      giveBack: () => givenBack++,
    });
    expect(response.send({ take: () => -1, takeLoan: () => -1 })).toBe("gone");
    response.drop();
    response.drop();
    expect(givenBack).toBe(1);
  });
});
