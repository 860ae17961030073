import { describe, expect, test } from "bun:test";
import { RestartPolicy } from "./restart-policy.ts";

describe("RestartPolicy", () => {
  function delays(count: number, servesBefore: (death: number) => boolean): number[] {
    const policy = new RestartPolicy();
    policy.served(0);
    return Array.from({ length: count }, (_, death) => {
      if (servesBefore(death)) policy.served(death * 100);
      const next = policy.died(death * 100 + 1);
      return next.kind === "restart" ? next.afterMs : Number.NaN;
    });
  }

  test("restarts three times at once, then after 50 ms, then twice as late each time, up to 5 s", () => {
    expect(delays(12, () => false)).toEqual([0, 0, 0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  test("restarts what had served, however briefly, after 0.2 s at the latest", () => {
    expect(delays(9, () => true)).toEqual([0, 0, 0, 50, 100, 200, 200, 200, 200]);
    expect(delays(9, (death) => death === 7)).toEqual([0, 0, 0, 50, 100, 200, 400, 200, 1600]);
  });

  test("begins anew once the process has served for a second", () => {
    const policy = new RestartPolicy();
    for (const at of [0, 2, 4]) {
      policy.served(at);
      policy.died(at + 1);
    }
    policy.served(100);
    expect(policy.died(1_099)).toEqual({ kind: "restart", afterMs: 50 });
    policy.served(20_000);
    expect(policy.died(21_000)).toEqual({ kind: "restart", afterMs: 0 });
  });

  test("gives up at the fifth death in a row of a process that has never served, however long each life took", () => {
    for (const lifeMs of [1, 2_000, 60_000]) {
      const policy = new RestartPolicy();
      for (let death = 1; death <= 4; death++) expect(policy.died(death * lifeMs).kind).toBe("restart");
      expect(policy.died(5 * lifeMs)).toEqual({ kind: "give-up", deaths: 5 });
    }
  });

  test("gives one that has served before ten seconds, and five deaths", () => {
    const quick = new RestartPolicy();
    quick.served(0);
    for (let at = 1_000; at < 11_000; at += 1_000) expect(quick.died(at).kind).toBe("restart");
    expect(quick.died(12_000)).toEqual({ kind: "give-up", deaths: 10 });
    const slow = new RestartPolicy();
    slow.served(0);
    expect(slow.died(1).kind).toBe("restart");
    for (let death = 1; death <= 4; death++) expect(slow.died(death * 6_000).kind).toBe("restart");
    expect(slow.died(30_000)).toEqual({ kind: "give-up", deaths: 5 });
  });

  test("does not give up when it served in between", () => {
    const policy = new RestartPolicy();
    for (let round = 0; round < 5; round++) {
      for (let death = 0; death < 4; death++) expect(policy.died(round * 20_000 + death).kind).toBe("restart");
      policy.served(round * 20_000 + 10);
      expect(policy.died(round * 20_000 + 20).kind).toBe("restart");
    }
  });
});
