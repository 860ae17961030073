import { expect, test } from "bun:test";
import fc from "fast-check";
import { trimOws } from "../http1/list.ts";
import { isToken, listMembers } from "./list-members.ts";
import { check, fieldValue } from "./test-support.ts";

test("listMembers() trims members and leaves empty ones out (RFC 9110 section 5.6.1)", () => {
  expect(listMembers(" a ,\t b,, ,c")).toEqual(["a", "b", "c"]);
  expect(listMembers("")).toEqual([]);
  expect(listMembers(" , ")).toEqual([]);
});

test("listMembers() keeps commas inside quoted-strings, also behind an escaped quote", () => {
  expect(listMembers('a="1, 2", b')).toEqual(['a="1, 2"', "b"]);
  expect(listMembers('a="1\\", 2", b')).toEqual(['a="1\\", 2"', "b"]);
  expect(listMembers('a="1, 2')).toEqual(['a="1, 2']);
  expect(listMembers('a="1\\')).toEqual(['a="1\\']);
});

test("listMembers() gives back every list of members without commas and quotes", () => {
  const member = fc.stringMatching(/^[a-z0-9]([a-z0-9 ]{0,5}[a-z0-9])?$/);
  check(fc.property(fc.array(member), (members) => expect(listMembers(members.join(" ,\t"))).toEqual(members)));
});

test("listMembers() never throws, and none of its members is empty or padded", () => {
  check(
    fc.property(fieldValue, (value) => {
      for (const member of listMembers(value)) expect(member).toBe(trimOws(member) || "not empty");
    }),
  );
});

test("trimOws() takes spaces and tabs only", () => {
  expect(trimOws(" \ta b\t ")).toBe("a b");
  expect(trimOws("\xa0a\v")).toBe("\xa0a\v");
});

test("isToken() is true for tokens only (RFC 9110 section 5.6.2)", () => {
  expect(["max-age", "*", "a1!#$%&'+.^_`|~"].every(isToken)).toBe(true);
  expect(["", "a b", "a=", '"a"', "a:", "\xfc"].some(isToken)).toBe(false);
});
