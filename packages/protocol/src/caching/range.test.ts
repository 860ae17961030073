import { expect, test } from "bun:test";
import fc from "fast-check";
import { missingRanges } from "./byte-range.ts";
import { completionFields, evaluateRange, parseRange, RANGES_MAX, type RangeOutcome, resolveRanges } from "./range.ts";
import { check, fieldsOf, fieldValue, requestOf } from "./test-support.ts";

const NOW = Date.UTC(2026, 10, 22);
const MONDAY = "Mon, 16 Nov 2026 10:00:00 GMT";
const TUESDAY = "Tue, 17 Nov 2026 10:00:00 GMT";

function evaluate(range: string, completeBytes = 10): RangeOutcome {
  return evaluateRange(requestOf("GET", `Range: ${range}`), fieldsOf(), completeBytes, NOW);
}

const single = (start: number, end: number): RangeOutcome => ({ kind: "single", range: { start, end } });

test.each([
  ["bytes=0-1", single(0, 2)],
  ["bytes=1-", single(1, 10)],
  ["bytes=-1", single(9, 10)],
  ["bytes=-99", single(0, 10)],
  ["bytes=0-99", single(0, 10)],
  ["bytes=9-9", single(9, 10)],
  ["Bytes=0-0", single(0, 1)],
  ["bytes= 0-0 ,, ", single(0, 1)],
  ["bytes=0-0,99-", single(0, 1)],
  ["bytes=5-18446744073709551616", single(5, 10)],
])("evaluateRange() of %p in 10 bytes is one range (RFC 9110 section 14.1.2)", (range, outcome) => {
  expect(evaluate(range)).toEqual(outcome);
});

test.each(["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=10-,-0", "bytes=18446744073709551616-"])(
  "evaluateRange() of %p in 10 bytes is unsatisfiable (RFC 9110 section 15.5.17)",
  (range) => {
    expect(evaluate(range)).toEqual({ kind: "unsatisfiable" });
  },
);

test.each([
  ...[
    "bytes",
    "bytes=",
    "bytes=,",
    "bytes=a-b",
    "bytes=5-4",
    "bytes=0-1,5-4",
    "bytes=--1",
    "bytes=1--2",
    "bytes=-",
    "0-1",
  ],
  ...["items=0-1", "bytes=0x0-1", "bytes=+1-2", "bytes=0 -1", "bytes=0-1;x", "bytes =0-1", "bytes=0-1 2-3", ""],
])("evaluateRange() ignores %p: malformed, reversed or of another unit (RFC 9110 section 14.2)", (range) => {
  expect(evaluate(range)).toEqual({ kind: "whole" });
});

test("evaluateRange() keeps the order of several ranges, and joins those that overlap (RFC 9110 section 15.3.7.2)", () => {
  expect(evaluate("bytes=8-9,0-1")).toEqual({
    kind: "multiple",
    ranges: [
      { start: 8, end: 10 },
      { start: 0, end: 2 },
    ],
  });
  expect(evaluate("bytes=0-1,2-3")).toEqual({
    kind: "multiple",
    ranges: [
      { start: 0, end: 2 },
      { start: 2, end: 4 },
    ],
  });
  expect(evaluate("bytes=4-6,0-1,5-8")).toEqual({
    kind: "multiple",
    ranges: [
      { start: 0, end: 2 },
      { start: 4, end: 9 },
    ],
  });
  expect(evaluate("bytes=0-,0-,0-,-10")).toEqual(single(0, 10));
});

test("evaluateRange() answers more ranges than anyone needs with the whole", () => {
  const ranges = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${2 * i}-${2 * i}`).join(",")}`;
  expect(evaluate(ranges(RANGES_MAX), 10_000).kind).toBe("multiple");
  expect(evaluate(ranges(RANGES_MAX + 1), 10_000).kind).toBe("whole");
  expect(evaluate(`bytes=${"0-,".repeat(10_000)}`).kind).toBe("whole");
  expect(evaluate(`bytes=${"9".repeat(1_000_000)}-`).kind).toBe("unsatisfiable");
});

test("evaluateRange() of an empty body: a suffix is the whole, a position is not there", () => {
  expect(evaluate("bytes=-5", 0)).toEqual({ kind: "whole" });
  expect(evaluate("bytes=0-", 0)).toEqual({ kind: "unsatisfiable" });
  expect(evaluate("bytes=-0", 0)).toEqual({ kind: "unsatisfiable" });
});

test("evaluateRange() looks at Range for GET only (RFC 9110 section 14.2)", () => {
  for (const method of ["HEAD", "POST"]) {
    expect(evaluateRange(requestOf(method, "Range: bytes=0-1"), fieldsOf(), 10, NOW)).toEqual({ kind: "whole" });
  }
  expect(evaluateRange(requestOf("GET"), fieldsOf(), 10, NOW)).toEqual({ kind: "whole" });
});

test.each([
  ['"a"', ['ETag: "a"'], "single"],
  ['"b"', ['ETag: "a"'], "whole"],
  ['W/"a"', ['ETag: W/"a"'], "whole"],
  ['"a"', [], "whole"],
  [MONDAY, [`Last-Modified: ${MONDAY}`, `Date: ${TUESDAY}`], "single"],
  ["Monday, 16-Nov-26 10:00:00 GMT", [`Last-Modified: ${MONDAY}`, `Date: ${TUESDAY}`], "single"],
  [TUESDAY, [`Last-Modified: ${MONDAY}`, `Date: ${TUESDAY}`], "whole"],
  [MONDAY, [`Last-Modified: ${MONDAY}`, `Date: ${MONDAY}`], "whole"],
  [MONDAY, [`Last-Modified: ${MONDAY}`], "whole"],
  ["nonsense", ['ETag: "a"'], "whole"],
])(
  "evaluateRange() with If-Range %p of what is stored with %p: %p (RFC 9110 section 13.1.5)",
  (ifRange, stored, kind) => {
    const request = requestOf("GET", "Range: bytes=0-1", `If-Range: ${ifRange}`);
    expect(evaluateRange(request, fieldsOf(...stored), 10, NOW).kind as string).toBe(kind);
  },
);

test("completionFields() asks for what is missing, and only of the same representation", () => {
  const strong = [`Last-Modified: ${MONDAY}`, `Date: ${TUESDAY}`];
  const tail = { start: 5, end: 10 };
  expect(completionFields(fieldsOf(), tail, 10, NOW)).toEqual([["Range", "bytes=5-"]]);
  expect(completionFields(fieldsOf(), tail, 11, NOW)).toEqual([["Range", "bytes=5-9"]]);
  expect(completionFields(fieldsOf('ETag: "a"'), tail, undefined, NOW)).toEqual([
    ["Range", "bytes=5-"],
    ["If-Range", '"a"'],
  ]);
  expect(completionFields(fieldsOf('ETag: W/"a"', ...strong), tail, 10, NOW)).toEqual([["Range", "bytes=5-"]]);
  expect(completionFields(fieldsOf(...strong), tail, 10, NOW)).toEqual([
    ["Range", "bytes=5-"],
    ["If-Range", MONDAY],
  ]);
});

const spec = fc.oneof(
  fc.tuple(fc.nat(30), fc.nat(30)).map(([first, more]) => `${first}-${first + more}`),
  fc.nat(30).map((first) => `${first}-`),
  fc.nat(30).map((suffix) => `-${suffix}`),
);

test("any ranges select exactly the bytes that a byte-by-byte reading of them selects", () => {
  check(
    fc.property(fc.array(spec, { minLength: 1, maxLength: 6 }), fc.nat(25), (specs, completeBytes) => {
      const outcome = resolveRanges(parseRange(`bytes=${specs.join(",")}`)!, completeBytes);
      const wanted = Array.from({ length: completeBytes }, (_, at) => at).filter((at) =>
        specs.some((text) => {
          const [first, last] = text.split("-");
          if (first === "") return at >= completeBytes - Number(last);
          return at >= Number(first) && (last === "" || at <= Number(last));
        }),
      );
      const ranges = outcome.kind === "single" ? [outcome.range] : outcome.kind === "multiple" ? outcome.ranges : [];
      const sent = ranges.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
      expect(sent.toSorted((a, b) => a - b)).toEqual(wanted); // Each byte once, none that was not asked for.
      for (const { start, end } of ranges) expect(start >= 0 && start < end && end <= completeBytes).toBe(true);
      if (outcome.kind === "multiple") expect(outcome.ranges.length).toBeGreaterThan(1);
      if (outcome.kind === "unsatisfiable") expect(wanted).toEqual([]);
    }),
    2000,
  );
});

test("any sequence of ranges that together cover a body gives the bytes of the whole", () => {
  check(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 30 }),
      fc.array(fc.array(spec, { minLength: 1, maxLength: 4 })),
      (body, requests) => {
        const assembled = new Uint8Array(body.length);
        const held: { start: number; end: number }[] = [];
        const receive = (range: string) => {
          const outcome = evaluate(range, body.length);
          const ranges =
            outcome.kind === "single" ? [outcome.range] : outcome.kind === "multiple" ? outcome.ranges : [];
          for (const { start, end } of ranges) assembled.set(body.subarray(start, end), start);
          held.push(...ranges);
        };
        for (const specs of requests) receive(`bytes=${specs.join(",")}`);
        for (const missing of missingRanges(held, { start: 0, end: body.length })) {
          receive(completionFields(fieldsOf(), missing, body.length, NOW)[0]![1]);
        }
        expect(missingRanges(held, { start: 0, end: body.length })).toEqual([]);
        expect(assembled).toEqual(body);
      },
    ),
  );
});

test("evaluateRange() never throws and stays inside the body, whatever the field says", () => {
  check(
    fc.property(fieldValue, fieldValue, fc.nat(100), (value, ifRange, completeBytes) => {
      const request = requestOf("GET", `Range: bytes=${value}`, `If-Range: ${ifRange}`);
      const outcome = evaluateRange(request, fieldsOf('ETag: "a"'), completeBytes, NOW);
      expect(["whole", "single", "multiple", "unsatisfiable"]).toContain(outcome.kind);
      expect(evaluate(value, completeBytes)).toBeDefined();
    }),
  );
});
