import { expect, test } from "bun:test";
import { evaluatePreconditions, notModifiedFields, type PreconditionOutcome } from "./preconditions.ts";
import { fieldsOf, requestOf, responseOf } from "./test-support.ts";

const SUNDAY = "Sun, 15 Nov 2026 10:00:00 GMT";
const MONDAY = "Mon, 16 Nov 2026 10:00:00 GMT";
const TUESDAY = "Tue, 17 Nov 2026 10:00:00 GMT";
const RECEIVED = Date.UTC(2026, 10, 16, 10);

const STORED = ['ETag: "a"', `Last-Modified: ${MONDAY}`, `Date: ${TUESDAY}`];
const evaluate = (lines: string[], stored = STORED, status = 200, method = "GET") =>
  evaluatePreconditions(requestOf(method, ...lines), responseOf(status, ...stored), RECEIVED);

const CASES: [lines: string[], outcome: PreconditionOutcome][] = [
  [[], "proceed"],
  // RFC 9110 section 13.1.2
  [['If-None-Match: "a"'], "not-modified"],
  [['If-None-Match: W/"a"'], "not-modified"],
  [["If-None-Match: *"], "not-modified"],
  [['If-None-Match: "x", "a", "y"'], "not-modified"],
  [['If-None-Match: "x"', 'If-None-Match: "a"'], "not-modified"],
  [['If-None-Match: "x"'], "proceed"],
  [["If-None-Match: a"], "proceed"],
  // section 13.1.3
  [[`If-Modified-Since: ${MONDAY}`], "not-modified"],
  [[`If-Modified-Since: ${TUESDAY}`], "not-modified"],
  [["If-Modified-Since: Monday, 16-Nov-26 10:00:00 GMT"], "not-modified"],
  [[`If-Modified-Since: ${SUNDAY}`], "proceed"],
  [["If-Modified-Since: nonsense"], "proceed"],
  [['If-None-Match: "x"', `If-Modified-Since: ${TUESDAY}`], "proceed"],
  [['If-None-Match: "a"', `If-Modified-Since: ${SUNDAY}`], "not-modified"],
  // sections 13.1.1, 13.1.4: what fails is for the origin to judge; what holds changes nothing
  [['If-Match: "a"'], "proceed"],
  [["If-Match: *"], "proceed"],
  [['If-Match: W/"a"'], "ask-origin"],
  [['If-Match: "b"'], "ask-origin"],
  [['If-Match: "b"', 'If-None-Match: "a"'], "ask-origin"],
  [['If-Match: "a"', 'If-None-Match: "a"'], "not-modified"],
  [[`If-Unmodified-Since: ${MONDAY}`], "proceed"],
  [[`If-Unmodified-Since: ${SUNDAY}`], "ask-origin"],
  [["If-Unmodified-Since: nonsense"], "proceed"],
  [['If-Match: "a"', `If-Unmodified-Since: ${SUNDAY}`], "proceed"],
];

test.each(CASES)("evaluatePreconditions() of %p: %p (RFC 9110 section 13.2.2)", (lines, outcome) => {
  expect(evaluate(lines)).toBe(outcome);
  expect(evaluate(lines, STORED, 200, "HEAD")).toBe(outcome);
});

test("evaluatePreconditions() ignores conditions where the answer would be no 2xx (RFC 9110 section 13.2.1)", () => {
  for (const status of [200, 206, 299]) expect(evaluate(["If-None-Match: *"], STORED, status)).toBe("not-modified");
  for (const status of [301, 404, 410, 503]) expect(evaluate(["If-None-Match: *"], STORED, status)).toBe("proceed");
});

test("evaluatePreconditions() without Last-Modified compares Date, else the time of receipt (RFC 9111 section 4.3.2)", () => {
  const since = [`If-Modified-Since: ${MONDAY}`];
  expect(evaluate(since, [`Date: ${MONDAY}`])).toBe("not-modified");
  expect(evaluate(since, [`Date: ${TUESDAY}`])).toBe("proceed");
  expect(evaluate(since, [])).toBe("not-modified");
  expect(evaluate([`If-Modified-Since: ${SUNDAY}`], [])).toBe("proceed");
  expect(evaluate(since, ["Last-Modified: nonsense", `Date: ${SUNDAY}`])).toBe("proceed");
  expect(evaluate([`If-Unmodified-Since: ${TUESDAY}`], [])).toBe("ask-origin");
});

test("evaluatePreconditions() answers no tag without a stored one, but for any", () => {
  expect(evaluate(['If-None-Match: "a"'], [])).toBe("proceed");
  expect(evaluate(["If-None-Match: *"], [])).toBe("not-modified");
  expect(evaluate(['If-Match: "a"'], [])).toBe("ask-origin");
});

test("notModifiedFields() keeps what a 304 must have and nothing about a body (RFC 9110 section 15.4.5)", () => {
  const kept = ["Cache-Control", "Content-Location", "Date", "ETag", "Expires", "Vary", "Last-Modified", "X-Other"];
  const dropped = ["Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range"];
  const fields = notModifiedFields(fieldsOf(...[...kept, ...dropped].map((name) => `${name}: x`)));
  expect([...fields].map(([name]) => name)).toEqual(kept);
});
