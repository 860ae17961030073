import { describe, expect, test } from "bun:test";
import { availableBehind, planPortion } from "./portion-plan.ts";

describe("planPortion()", () => {
  test("puts head and body of a known length into one portion and ends the stream", () => {
    expect(
      planPortion({ headBytes: 10, bodyAvailable: 5, bodyBytes: 5, trailerBytes: 0, isInParts: false }, 0, 100),
    ).toEqual({
      kind: "portion",
      headFrom: 0,
      headBytes: 10,
      bodyFrom: 0,
      bodyBytes: 5,
      trailerFrom: 0,
      trailerBytes: 0,
      last: true,
    });
  });

  test("never mixes head and body while the length is unknown", () => {
    expect(
      planPortion({ headBytes: 10, bodyAvailable: 5, bodyBytes: undefined, trailerBytes: 0, isInParts: true }, 0, 100),
    ).toMatchObject({
      headBytes: 10,
      bodyBytes: 0,
      last: false,
    });
    expect(
      planPortion({ headBytes: 10, bodyAvailable: 5, bodyBytes: undefined, trailerBytes: 0, isInParts: true }, 10, 100),
    ).toMatchObject({
      headBytes: 0,
      bodyBytes: 5,
      last: false,
    });
  });

  test("an empty body with an empty head is one last portion of nothing", () => {
    expect(
      planPortion({ headBytes: 0, bodyAvailable: 0, bodyBytes: 0, trailerBytes: 0, isInParts: false }, 0, 100),
    ).toMatchObject({
      kind: "portion",
      last: true,
    });
  });

  test("waits where nothing is there yet and refuses what lies beyond the end", () => {
    expect(
      planPortion({ headBytes: 0, bodyAvailable: 3, bodyBytes: 9, trailerBytes: 0, isInParts: false }, 3, 100),
    ).toEqual({
      kind: "wait",
    });
    expect(
      planPortion({ headBytes: 2, bodyAvailable: 9, bodyBytes: 9, trailerBytes: 0, isInParts: false }, 12, 100),
    ).toEqual({
      kind: "beyond",
    });
  });

  test("trailers come last, and apart from the body", () => {
    const stream = { headBytes: 2, bodyAvailable: 3, bodyBytes: 3, trailerBytes: 4, isInParts: true };
    expect(planPortion(stream, 0, 100)).toMatchObject({ headBytes: 2, bodyBytes: 0, trailerBytes: 0, last: false });
    expect(planPortion(stream, 2, 100)).toMatchObject({ headBytes: 0, bodyBytes: 3, trailerBytes: 0, last: false });
    expect(planPortion(stream, 5, 3)).toMatchObject({ bodyBytes: 0, trailerFrom: 0, trailerBytes: 3, last: false });
    expect(planPortion(stream, 8, 3)).toMatchObject({ bodyBytes: 0, trailerFrom: 3, trailerBytes: 1, last: true });
    expect(planPortion(stream, 10, 3)).toEqual({ kind: "beyond" });
  });

  test("any sizes: the portions of a stream are the stream, in order, without gap or overlap, and each as long as could be foretold", () => {
    for (const headBytes of [0, 1, 7, 64]) {
      for (const bodyBytes of [0, 1, 5, 64, 65]) {
        for (const trailerBytes of [0, 1, 9, 64]) {
          for (const knownAt of ["from the start", "in the head", "at the end"]) {
            const isKnown = knownAt === "from the start";
            for (const bytesMax of [1, 2, 7, 64, 1000]) {
              const isInParts = !isKnown || trailerBytes > 0;
              const stream = { headBytes, bodyAvailable: bodyBytes, bodyBytes, trailerBytes, isInParts };
              // While the body arrives, its length is not known and nothing comes behind it.
              const arriving = { ...stream, bodyBytes: undefined, trailerBytes: 0 };
              let now = isKnown ? stream : arriving;
              let position = 0;
              let foretold = 0;
              for (let last = false; !last; ) {
                const bytes = position < foretold ? Math.min(bytesMax, foretold - position) : undefined;
                const plan = planPortion(now, position, bytes ?? bytesMax);
                // It becomes known at the worst moment: within the head, or when nothing else is left.
                const isLearnt = plan.kind === "wait" || (knownAt === "in the head" && position > 0);
                if (now === arriving && isLearnt) {
                  now = stream;
                  continue;
                }
                if (plan.kind !== "portion") throw new Error(`${plan.kind} at ${position}`);
                expect(plan.headBytes === 0 || plan.headFrom === position).toBe(true);
                expect(plan.bodyBytes === 0 || plan.bodyFrom === position + plan.headBytes - headBytes).toBe(true);
                expect(plan.trailerBytes === 0 || plan.trailerFrom === position - headBytes - bodyBytes).toBe(true);
                const planned = plan.headBytes + plan.bodyBytes + plan.trailerBytes;
                if (bytes !== undefined) expect(planned).toBe(bytes);
                const parts = [plan.headBytes, plan.bodyBytes, plan.trailerBytes].filter((one) => one > 0);
                if (isInParts) expect(parts.length).toBeLessThan(2);
                position += planned;
                foretold = availableBehind(now, position);
                last = plan.last;
              }
              expect(position).toBe(headBytes + bodyBytes + trailerBytes);
            }
          }
        }
      }
    }
  });
});
