import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { newPassExchange, type PassEvent, type PassExchange, step } from "./pass-exchange.ts";

function after(hasContent: boolean, ...types: PassEvent["type"][]): PassExchange {
  return types.reduce<PassExchange>((state, type) => step(state, { type }), newPassExchange(hasContent));
}

const DONE = (outcome: object) => ({ phase: "done", outcome }) as PassExchange;

describe("PassExchange", () => {
  test("a request with content and its response, in either order", () => {
    const sent = DONE({ kind: "sent", requestWhole: true });
    expect(after(true, "request-whole", "head", "origin-ended", "delivered")).toEqual(sent);
    expect(after(true, "head", "request-whole", "origin-ended", "delivered")).toEqual(sent);
    expect(after(true, "head", "origin-ended", "request-whole", "delivered")).toEqual(sent);
    expect(after(false, "head", "origin-ended", "delivered")).toEqual(sent);
  });

  test("an early response leaves a request that is not whole: what follows is no request", () => {
    expect(after(true, "head", "origin-ended", "delivered")).toEqual(DONE({ kind: "sent", requestWhole: false }));
  });

  test("a failure is told in words before the head, and by an abort after it", () => {
    expect(after(true, "origin-failed")).toEqual(DONE({ kind: "refused", requestWhole: false }));
    expect(after(true, "request-whole", "origin-failed")).toEqual(DONE({ kind: "refused", requestWhole: true }));
    expect(after(true, "request-failed")).toEqual(DONE({ kind: "refused", requestWhole: false }));
    expect(after(false, "head", "origin-failed")).toEqual(DONE({ kind: "aborted" }));
    expect(after(true, "head", "request-failed")).toEqual(DONE({ kind: "aborted" }));
    expect(after(true, "head", "origin-ended", "request-failed")).toEqual(DONE({ kind: "aborted" }));
    const told = after(true, "request-whole", "head", "taken-back", "origin-failed");
    expect(told).toEqual(DONE({ kind: "refused", requestWhole: true }));
  });

  test("a tunnel ends when the origin has and the client has it all", () => {
    const ended = DONE({ kind: "sent", requestWhole: false });
    expect(after(false, "switched", "origin-ended", "delivered")).toEqual(ended);
    expect(after(false, "switched", "origin-failed")).toEqual(DONE({ kind: "aborted" }));
  });

  test("what can not be is our bug", () => {
    expect(() => after(false, "delivered")).toThrow("Cannot take");
    expect(() => after(true, "switched")).toThrow("Cannot take"); // content would be taken for the other protocol
    expect(() => after(false, "request-whole")).toThrow("Cannot take");
    expect(() => after(false, "head", "head")).toThrow("Cannot take");
    expect(() => after(false, "taken-back")).toThrow("Cannot take");
    expect(() => after(false, "switched", "delivered")).toThrow("Cannot take");
  });

  test("whatever comes, `sent` means that a whole response was there, and nothing follows the end", () => {
    const types: PassEvent["type"][] = [
      ...(["request-whole", "request-failed", "head", "switched", "origin-ended", "origin-failed"] as const),
      ...(["taken-back", "delivered", "client-left"] as const),
    ];
    fc.assert(
      fc.property(fc.boolean(), fc.array(fc.constantFrom(...types), { maxLength: 12 }), (hasContent, events) => {
        let state = newPassExchange(hasContent);
        const seen = new Set<string>();
        for (const type of events) {
          try {
            state = step(state, { type });
          } catch {
            continue; // not possible there: a driver that does it is wrong
          }
          seen.add(type);
          if (type === "taken-back") seen.delete("head");
          if (state.phase === "done") break;
        }
        if (state.phase !== "done") return;
        const { outcome } = state;
        if (outcome.kind === "sent") {
          expect(seen.has("origin-ended") && seen.has("delivered")).toBe(true);
          expect(seen.has("head") || seen.has("switched")).toBe(true);
          if (outcome.requestWhole) expect(!hasContent || seen.has("request-whole")).toBe(true);
        }
        if (outcome.kind === "refused") expect(seen.has("head")).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });
});
