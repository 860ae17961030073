import { describe, expect, test } from "bun:test";
import { planPortion } from "./portion-plan.ts";

describe("planPortion()", () => {
  test("puts head and body of a known length into one portion and ends the stream", () => {
    expect(planPortion({ headBytes: 10, bodyAvailable: 5, bodyBytes: 5 }, 0, 100)).toEqual({
      kind: "portion",
      headFrom: 0,
      headBytes: 10,
      bodyFrom: 0,
      bodyBytes: 5,
      last: true,
    });
  });

  test("never mixes head and body while the length is unknown", () => {
    expect(planPortion({ headBytes: 10, bodyAvailable: 5, bodyBytes: undefined }, 0, 100)).toMatchObject({
      headBytes: 10,
      bodyBytes: 0,
      last: false,
    });
    expect(planPortion({ headBytes: 10, bodyAvailable: 5, bodyBytes: undefined }, 10, 100)).toMatchObject({
      headBytes: 0,
      bodyBytes: 5,
      last: false,
    });
  });

  test("an empty body with an empty head is one last portion of nothing", () => {
    expect(planPortion({ headBytes: 0, bodyAvailable: 0, bodyBytes: 0 }, 0, 100)).toMatchObject({
      kind: "portion",
      last: true,
    });
  });

  test("waits where nothing is there yet and refuses what lies beyond the end", () => {
    expect(planPortion({ headBytes: 0, bodyAvailable: 3, bodyBytes: 9 }, 3, 100)).toEqual({ kind: "wait" });
    expect(planPortion({ headBytes: 2, bodyAvailable: 9, bodyBytes: 9 }, 12, 100)).toEqual({ kind: "beyond" });
  });

  test("any sizes: the portions of a stream are the stream, in order, without gap or overlap", () => {
    for (const headBytes of [0, 1, 7, 64]) {
      for (const bodyBytes of [0, 1, 5, 64, 65]) {
        for (const bytesMax of [1, 2, 7, 64, 1000]) {
          let position = 0;
          for (let last = false; !last; ) {
            const plan = planPortion({ headBytes, bodyAvailable: bodyBytes, bodyBytes }, position, bytesMax);
            if (plan.kind !== "portion") throw new Error(`${plan.kind} at ${position}`);
            expect(plan.headBytes === 0 || plan.headFrom === position).toBe(true);
            expect(plan.bodyBytes === 0 || plan.bodyFrom === position + plan.headBytes - headBytes).toBe(true);
            position += plan.headBytes + plan.bodyBytes;
            last = plan.last;
          }
          expect(position).toBe(headBytes + bodyBytes);
        }
      }
    }
  });
});
