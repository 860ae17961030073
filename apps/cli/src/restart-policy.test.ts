import { describe, expect, test } from "bun:test";
import { RestartPolicy } from "./restart-policy.ts";

describe("RestartPolicy", () => {
  test("restarts at once, then after 50 ms, then twice as late each time, up to 5 s", () => {
    const policy = new RestartPolicy();
    const delays: number[] = [];
    for (let at = 0; delays.length < 10; at += 100) {
      policy.served(at);
      const next = policy.died(at + 1);
      if (next.kind === "restart") delays.push(next.afterMs);
    }
    expect(delays).toEqual([0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  test("begins anew once the process has served for two seconds", () => {
    const policy = new RestartPolicy();
    policy.served(0);
    policy.died(1);
    policy.served(100);
    expect(policy.died(2_099)).toEqual({ kind: "restart", afterMs: 50 });
    policy.served(20_000);
    expect(policy.died(22_000)).toEqual({ kind: "restart", afterMs: 0 });
  });

  test("gives up at the fifth death within ten seconds without having served", () => {
    const policy = new RestartPolicy();
    for (const at of [0, 2000, 4000, 6000]) expect(policy.died(at).kind).toBe("restart");
    expect(policy.died(10_000)).toEqual({ kind: "give-up" });
  });

  test("does not give up when the deaths are further apart, or when it served in between", () => {
    const slow = new RestartPolicy();
    for (let death = 0; death < 20; death++) expect(slow.died(death * 2501).kind).toBe("restart");
    const served = new RestartPolicy();
    for (let round = 0; round < 5; round++) {
      for (let death = 0; death < 4; death++) expect(served.died(round * 1000 + death).kind).toBe("restart");
      served.served(round * 1000 + 10);
      expect(served.died(round * 1000 + 20).kind).toBe("restart");
    }
  });
});
