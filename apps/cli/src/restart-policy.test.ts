import { describe, expect, test } from "bun:test";
import { RestartPolicy } from "./restart-policy.ts";

describe("RestartPolicy", () => {
  test("restarts three times at once, then after 50 ms, then twice as late each time, up to 5 s", () => {
    const policy = new RestartPolicy();
    const delays: number[] = [];
    for (let at = 0; delays.length < 12; at += 100) {
      policy.served(at);
      const next = policy.died(at + 1);
      if (next.kind === "restart") delays.push(next.afterMs);
    }
    expect(delays).toEqual([0, 0, 0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  test("begins anew once the process has served for two seconds", () => {
    const policy = new RestartPolicy();
    for (const at of [0, 2, 4]) {
      policy.served(at);
      policy.died(at + 1);
    }
    policy.served(100);
    expect(policy.died(2_099)).toEqual({ kind: "restart", afterMs: 50 });
    policy.served(20_000);
    expect(policy.died(22_000)).toEqual({ kind: "restart", afterMs: 0 });
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
