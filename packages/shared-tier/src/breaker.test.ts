import { describe, expect, test } from "bun:test";
import { Breaker } from "./breaker.ts";

describe("Breaker", () => {
  test("opens after three failures in a row, at once when there is no hope", () => {
    const breaker = new Breaker();
    expect([breaker.failed(0), breaker.failed(0)]).toEqual([false, false]);
    breaker.succeeded();
    expect([breaker.failed(0), breaker.failed(0), breaker.isOpen]).toEqual([false, false, false]);
    expect([breaker.failed(0), breaker.isOpen]).toEqual([true, true]);
    const other = new Breaker();
    expect([other.failed(0, true), other.isOpen]).toEqual([true, true]);
  });

  test("probes once for each pause; a pause is twice as long as the one before, up to 4 s", () => {
    const breaker = new Breaker();
    breaker.failed(0, true);
    let nowMs = 0;
    for (const pauseMs of [250, 500, 1000, 2000, 4000, 4000]) {
      expect(breaker.takeProbe(nowMs + pauseMs - 1)).toBe(false);
      nowMs += pauseMs;
      expect(breaker.takeProbe(nowMs)).toBe(true);
      expect(breaker.takeProbe(nowMs)).toBe(false);
      breaker.failed(nowMs);
    }
    breaker.takeProbe(nowMs + 4000);
    breaker.succeeded();
    expect(breaker.isOpen).toBe(false);
    breaker.failed(nowMs, true);
    expect(breaker.takeProbe(nowMs + 250)).toBe(true);
  });
});
