import { expect, test } from "bun:test";
import { fieldsOf } from "./test-support.ts";
import {
  conditionalFields,
  headEffect,
  sameStrongValidator,
  selectFreshened,
  strongLastModified,
  updateStored,
  withDate,
} from "./validation.ts";

const NOW = Date.UTC(2026, 10, 22);
const MONDAY = "Mon, 16 Nov 2026 10:00:00 GMT";
const TUESDAY = "Tue, 17 Nov 2026 10:00:00 GMT";

test("conditionalFields() sends the stored validators as they are (RFC 9111 section 4.3.1)", () => {
  expect(conditionalFields(fieldsOf('ETag: W/"a"', `Last-Modified: ${MONDAY}`))).toEqual([
    ["If-None-Match", 'W/"a"'],
    ["If-Modified-Since", MONDAY],
  ]);
  expect(conditionalFields(fieldsOf(`Last-Modified: ${MONDAY}`))).toEqual([["If-Modified-Since", MONDAY]]);
  expect(conditionalFields(fieldsOf(`Date: ${MONDAY}`))).toEqual([]);
});

test("conditionalFields() names every variant's tag once, and no date but the selected one's", () => {
  const others = [fieldsOf('ETag: "b"', `Last-Modified: ${MONDAY}`), fieldsOf('ETag: "a"'), fieldsOf("X: y")];
  expect(conditionalFields(fieldsOf('ETag: "a"'), others)).toEqual([["If-None-Match", '"a", "b"']]);
  expect(conditionalFields(undefined, others)).toEqual([["If-None-Match", '"b", "a"']]);
  expect(conditionalFields(undefined, [])).toEqual([]);
});

test("conditionalFields() gives an origin that leaves the quotes out the tag it sent", () => {
  expect(conditionalFields(fieldsOf("ETag: abc-1"))).toEqual([["If-None-Match", "abc-1"]]);
  expect(selectFreshened([fieldsOf("ETag: abc"), fieldsOf("ETag: b")], fieldsOf("ETag: abc"))).toEqual([0]);
  expect(selectFreshened([fieldsOf("ETag: abc")], fieldsOf("ETag: b"))).toEqual([]);
});

test("conditionalFields() does not send what could match anything else, nor two dates", () => {
  for (const etag of ["*", "a*", "a,b", 'W/"a', 'a"', "\xe4", ""])
    expect(conditionalFields(fieldsOf(`ETag: ${etag}`))).toEqual([]);
  expect(conditionalFields(fieldsOf("ETag: abc, *"))).toEqual([]);
  expect(conditionalFields(fieldsOf('ETag: "a"', 'ETag: "b"'))).toEqual([]);
  expect(conditionalFields(fieldsOf(`Last-Modified: ${MONDAY}`, `Last-Modified: ${TUESDAY}`))).toEqual([]);
});

test("selectFreshened() takes all stored responses with the 304's strong tag, else none (RFC 9111 section 4.3.4)", () => {
  const stored = [fieldsOf('ETag: "a"'), fieldsOf('ETag: "b"'), fieldsOf('ETag: "a"'), fieldsOf('ETag: W/"a"')];
  expect(selectFreshened(stored, fieldsOf('ETag: "a"'))).toEqual([0, 2]);
  expect(selectFreshened(stored, fieldsOf('ETag: "c"'))).toEqual([]);
  expect(selectFreshened([fieldsOf('ETag: "a"')], fieldsOf('ETag: "c"'))).toEqual([]);
});

test("selectFreshened() takes the most recent that matches a weak tag or a Last-Modified", () => {
  const stored = [fieldsOf('ETag: "a"'), fieldsOf('ETag: W/"a"'), fieldsOf('ETag: W/"b"')];
  expect(selectFreshened(stored, fieldsOf('ETag: W/"a"'))).toEqual([1]);
  expect(selectFreshened(stored, fieldsOf('ETag: W/"c"'))).toEqual([]);
  const dated = [MONDAY, TUESDAY, MONDAY].map((date) => fieldsOf(`Last-Modified: ${date}`));
  expect(selectFreshened(dated, fieldsOf(`Last-Modified: ${MONDAY}`))).toEqual([2]);
  expect(selectFreshened(dated, fieldsOf("Last-Modified: Wed, 18 Nov 2026 10:00:00 GMT"))).toEqual([]);
});

test("selectFreshened() believes a 304 without a validator only where nothing can be confused", () => {
  expect(selectFreshened([fieldsOf('ETag: "a"')], fieldsOf("Cache-Control: max-age=5"))).toEqual([0]);
  expect(selectFreshened([fieldsOf('ETag: "a"'), fieldsOf('ETag: "b"')], fieldsOf("Cache-Control: max-age=5"))).toEqual(
    [],
  );
  expect(selectFreshened([], fieldsOf('ETag: "a"'))).toEqual([]);
});

test("updateStored() replaces each field the 304 has, line by line, and keeps the others (RFC 9111 section 3.2)", () => {
  const stored = fieldsOf("A: 1", "B: 1", "b: 2", "Cache-Control: max-age=1", `Date: ${MONDAY}`, "Set-Cookie: x=1");
  const updated = updateStored(
    stored,
    fieldsOf("B: 3", "B: 4", "C: 5", "cache-control: max-age=9", `Date: ${TUESDAY}`),
  );
  expect([...updated]).toEqual([
    ["A", "1"],
    ["Set-Cookie", "x=1"],
    ["B", "3"],
    ["B", "4"],
    ["C", "5"],
    ["cache-control", "max-age=9"],
    ["Date", TUESDAY],
  ]);
  expect(stored.get("b")).toBe("1, 2");
});

test.each([
  "Content-Length",
  "Content-Encoding",
  "Content-Range",
  "Content-MD5",
  "Content-Digest",
  "Repr-Digest",
  "ETag",
])("updateStored() leaves %p alone: it is about the stored bytes", (name) => {
  expect([...updateStored(fieldsOf(`${name}: old`), fieldsOf(`${name}: new`))]).toEqual([[name, "old"]]);
  expect([...updateStored(fieldsOf("A: 1"), fieldsOf(`${name}: new`))]).toEqual([["A", "1"]]);
});

test("updateStored() counts the age anew: no stored Age, no stored Date survives", () => {
  expect([...updateStored(fieldsOf("Age: 500", `Date: ${MONDAY}`, "A: 1"), fieldsOf("B: 2"))]).toEqual([
    ["A", "1"],
    ["B", "2"],
  ]);
  expect(updateStored(fieldsOf("Age: 500"), fieldsOf("Age: 7")).get("age")).toBe("7");
});

test("withDate() adds the time of receipt where there is no Date, and touches no other (RFC 9110 section 6.6.1)", () => {
  const bare = fieldsOf("A: 1");
  expect([...withDate(bare, NOW)]).toEqual([
    ["A", "1"],
    ["Date", "Sun, 22 Nov 2026 00:00:00 GMT"],
  ]);
  expect(bare.has("date")).toBe(false);
  expect(withDate(fieldsOf(`Date: ${MONDAY}`), NOW).get("date")).toBe(MONDAY);
});

test("headEffect() freshens where validators and length agree, else invalidates (RFC 9111 section 4.3.5)", () => {
  const stored = fieldsOf('ETag: "a"', `Last-Modified: ${MONDAY}`);
  expect(headEffect(stored, fieldsOf('ETag: "a"', "Content-Length: 5"), 5)).toBe("freshen");
  expect(headEffect(stored, fieldsOf("X: y"), 5)).toBe("freshen");
  expect(headEffect(stored, fieldsOf("Content-Length: 6"), 5)).toBe("invalidate");
  expect(headEffect(stored, fieldsOf("Content-Length: 6"), undefined)).toBe("freshen");
  expect(headEffect(stored, fieldsOf('ETag: "b"'), 5)).toBe("invalidate");
  expect(headEffect(stored, fieldsOf(`Last-Modified: ${TUESDAY}`), 5)).toBe("invalidate");
  expect(headEffect(fieldsOf("X: y"), fieldsOf('ETag: "a"'), 5)).toBe("invalidate");
});

test("strongLastModified() wants a second between Last-Modified and Date (RFC 9110 section 8.8.2.2)", () => {
  const fields = (date: string) => fieldsOf(`Last-Modified: ${MONDAY}`, `Date: ${date}`);
  expect(strongLastModified(fields("Mon, 16 Nov 2026 10:00:01 GMT"), NOW)).toBe(Date.UTC(2026, 10, 16, 10));
  expect(strongLastModified(fields(MONDAY), NOW)).toBeUndefined();
  expect(strongLastModified(fields("nonsense"), NOW)).toBeUndefined();
  expect(strongLastModified(fieldsOf(`Last-Modified: ${MONDAY}`), NOW)).toBeUndefined();
  expect(strongLastModified(fieldsOf(`Date: ${MONDAY}`), NOW)).toBeUndefined();
  expect(strongLastModified(fieldsOf("Last-Modified: nonsense", `Date: ${MONDAY}`), NOW)).toBeUndefined();
});

test("sameStrongValidator() joins only what is octet for octet the same (RFC 9111 section 3.4)", () => {
  const same = (a: string[], b: string[]) => sameStrongValidator(fieldsOf(...a), fieldsOf(...b), NOW);
  expect(same(['ETag: "a"'], ['ETag: "a"'])).toBe(true);
  expect(same(['ETag: "a"'], ['ETag: "b"'])).toBe(false);
  expect(same(['ETag: W/"a"'], ['ETag: W/"a"'])).toBe(false);
  const strong = [`Last-Modified: ${MONDAY}`, `Date: ${TUESDAY}`];
  expect(same(strong, strong)).toBe(true);
  expect(same(strong, [`Last-Modified: ${MONDAY}`, `Date: ${MONDAY}`])).toBe(false);
  expect(same([...strong, 'ETag: "a"'], strong)).toBe(false);
  expect(same([], [])).toBe(false);
});
