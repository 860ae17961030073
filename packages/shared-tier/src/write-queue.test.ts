import { describe, expect, test } from "bun:test";
import { WriteQueue } from "./write-queue.ts";

const MIB = 1024 * 1024;

describe("WriteQueue", () => {
  test("takes so many bytes and so much work, some of it at once, in order; what waits when it is closed is dropped", async () => {
    const queue = new WriteQueue();
    const gates: PromiseWithResolvers<void>[] = [];
    const begun: number[] = [];
    let dropped = 0;
    const add = (bytes: number, name: number) => {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      const work = () => {
        begun.push(name);
        return gate.promise;
      };
      return queue.add(bytes, work, () => void dropped++);
    };
    for (let name = 0; name < 6; name++) expect(add(10 * MIB, name)).toBe(true);
    expect(add(10 * MIB, 6)).toBe(false);
    expect(begun).toEqual([0, 1, 2, 3]);
    gates[1]!.resolve();
    await Bun.sleep(0);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    expect(queue.waitingBytes).toBe(50 * MIB);
    for (let name = 0; name < 1023; name++) expect(add(0, name)).toBe(true);
    expect(add(0, 0)).toBe(false);
    queue.close();
    expect(dropped).toBe(1024);
    expect(add(1, 0)).toBe(false);
  });

  test("takes one that is larger than all its room, alone", () => {
    const queue = new WriteQueue();
    expect(
      queue.add(
        200 * MIB,
        async () => {},
        () => {},
      ),
    ).toBe(true);
    expect(
      queue.add(
        1,
        async () => {},
        () => {},
      ),
    ).toBe(false);
  });
});
