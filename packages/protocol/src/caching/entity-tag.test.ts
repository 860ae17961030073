import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseEntityTag, parseEntityTags, strongMatch, weakMatch } from "./entity-tag.ts";
import { check, fieldValue } from "./test-support.ts";

test("parseEntityTag() reads strong and weak tags, empty ones, obs-text and backslashes (RFC 9110 section 8.8.3)", () => {
  expect(parseEntityTag('"abc"')).toEqual({ weak: false, opaque: '"abc"' });
  expect(parseEntityTag('W/"abc"')).toEqual({ weak: true, opaque: '"abc"' });
  expect(parseEntityTag('""')).toEqual({ weak: false, opaque: '""' });
  expect(parseEntityTag('"a\\\xfc"')).toEqual({ weak: false, opaque: '"a\\\xfc"' });
});

test.each(["abc", 'w/"abc"', 'W"abc"', 'W\\"abc"', '"abc', 'abc"', '"a b"', '"a"b"', '"a", "b"', "", "*", "W/"])(
  "parseEntityTag() does not read %p",
  (value) => {
    expect(parseEntityTag(value)).toBeUndefined();
  },
);

test("parseEntityTags() reads lists, with commas and backslashes inside tags, and leaves out what is none", () => {
  const opaque = (value: string) => {
    const tags = parseEntityTags(value);
    return tags === "*" ? tags : tags.map((tag) => (tag.weak ? "W/" : "") + tag.opaque);
  };
  expect(opaque('"a", W/"b" ,"c"')).toEqual(['"a"', 'W/"b"', '"c"']);
  expect(opaque('"a,b", "c\\"')).toEqual(['"a,b"', '"c\\"']);
  expect(opaque('abc, "a"')).toEqual(['"a"']);
  expect(opaque("")).toEqual([]);
  expect(opaque("*")).toBe("*");
  expect(opaque('*, "a"')).toEqual(['"a"']);
});

test("strongMatch() wants both strong, weakMatch() only equal (RFC 9110 section 8.8.3.2, table 3)", () => {
  const [weak1, weak2, strong1] = ['W/"1"', 'W/"2"', '"1"'].map((text) => parseEntityTag(text)!);
  expect([strongMatch(weak1!, weak1!), weakMatch(weak1!, weak1!)]).toEqual([false, true]);
  expect([strongMatch(weak1!, weak2!), weakMatch(weak1!, weak2!)]).toEqual([false, false]);
  expect([strongMatch(weak1!, strong1!), weakMatch(weak1!, strong1!)]).toEqual([false, true]);
  expect([strongMatch(strong1!, strong1!), weakMatch(strong1!, strong1!)]).toEqual([true, true]);
});

test("parseEntityTags() gives back any list of tags, and never throws", () => {
  const octet = fc.oneof(fc.constantFrom(",", "\\", "W", "/", "*"), fc.constantFrom("a", "\xff", "!"));
  const tag = fc.tuple(fc.boolean(), fc.string({ unit: octet, maxLength: 6 }));
  check(
    fc.property(fc.array(tag), fieldValue, (tags, value) => {
      const expected = tags.map(([weak, text]) => ({ weak, opaque: `"${text}"` }));
      const rendered = expected.map(({ weak, opaque }) => (weak ? "W/" : "") + opaque).join(" ,\t");
      expect(parseEntityTags(rendered)).toEqual(expected);
      expect(() => parseEntityTags(value)).not.toThrow();
    }),
  );
});
