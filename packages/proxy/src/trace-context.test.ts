import { describe, expect, test } from "bun:test";
import { parseTraceParent, Tracing } from "./trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";

describe("parseTraceParent()", () => {
  test("reads what the specification says, of later versions what it knows", () => {
    expect(parseTraceParent(`00-${TRACE}-${PARENT}-01`)).toEqual({ traceId: TRACE, parentId: PARENT, isSampled: true });
    expect(parseTraceParent(`00-${TRACE}-${PARENT}-02`)?.isSampled).toBe(false);
    expect(parseTraceParent(`cc-${TRACE}-${PARENT}-01-what the future will be like`)?.isSampled).toBe(true);
  });

  test("takes nothing else", () => {
    const bad = [
      undefined,
      "",
      `ff-${TRACE}-${PARENT}-01`,
      `00-${TRACE}-${PARENT}-01-more`,
      `00-${TRACE.toUpperCase()}-${PARENT}-01`,
      `00-${"0".repeat(32)}-${PARENT}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      `00-${TRACE}-${PARENT}`,
      `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`,
    ];
    for (const value of bad) expect({ value, parsed: parseTraceParent(value) }).toEqual({ value, parsed: undefined });
  });
});

describe("Tracing", () => {
  test("goes on with a client's trace, and does not trace what a client does not want traced", () => {
    const tracing = new Tracing(0);
    const { forwarded, record } = tracing.begin(`00-${TRACE}-${PARENT}-01`, 1)!;
    const [traceId, span, originSpan, parent] = record.split(" ");
    expect([traceId, parent]).toEqual([TRACE, PARENT]);
    expect(forwarded).toBe(`00-${TRACE}-${originSpan}-01`);
    expect(span).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set([span, originSpan, PARENT]).size).toBe(3);
    expect(new Tracing(1).begin(`00-${TRACE}-${PARENT}-00`, 1)).toBeUndefined();
    expect([
      tracing.isWanted(`00-${TRACE}-${PARENT}-01`),
      tracing.isWanted(`00-${TRACE}-${PARENT}-00`),
      tracing.isWanted(undefined),
    ]).toEqual([true, false, false]);
  });

  test("begins traces for a part of the others", () => {
    const randoms = [0.05, 0.2, 0.05];
    const tracing = new Tracing(0.1, () => randoms.shift()!);
    expect(tracing.begin(undefined, 1)?.record).toMatch(/^[0-9a-f]{32} [0-9a-f]{16} [0-9a-f]{16} $/);
    expect(tracing.begin("nonsense", 1)).toBeUndefined();
    expect(tracing.begin(undefined, 64)).toBeDefined();
    expect(new Tracing(0).begin(undefined, 64)).toBeUndefined();
  });
});
