import { expect, test } from "bun:test";
import fc from "fast-check";
import { Fields } from "../http1/fields.ts";
import { acceptsCoding } from "./negotiation.ts";
import { check, fieldsOf, fieldValue } from "./test-support.ts";
import { matchingVariants, type Selecting, type Variant, variantOf, varyKey, varyNames } from "./vary.ts";

test("varyNames() joins lines, ignores case and order, leaves out doubles (RFC 9110 section 12.5.5)", () => {
  expect(varyNames(fieldsOf("Vary: Foo, bar", "Vary: , FOO"))).toEqual(["bar", "foo"]);
  expect(varyNames(fieldsOf("X: y"))).toEqual([]);
});

test.each([["*"], ["*, *"], [", *"], ["*, Foo"], ["Foo, *"], ["", "*"], ["*", "Foo"], ["Fo o"], ['"foo"'], ["a/b"]])(
  "varyNames() of %p never matches (RFC 9111 section 4.1)",
  (...values) => {
    const fields = fieldsOf(...values.map((value) => `Vary: ${value}`));
    expect(varyNames(fields)).toBe("*");
    expect(variantOf(fieldsOf(), fields)).toBeUndefined();
  },
);

/** Which of `variants` answer a request. */
function indexesOf(variants: readonly Variant[], request: Selecting): number[] {
  const stored = variants.map((variant, index) => ({ variant, index }));
  return matchingVariants(stored, request).map(({ index }) => index);
}

/** Whether a request matches the response that another one got, which varied on `vary`. */
function matches(vary: string, first: string[], second: string[], ...response: string[]): boolean {
  const variant = variantOf(fieldsOf(...first), fieldsOf(`Vary: ${vary}`, ...response));
  return variant !== undefined && indexesOf([variant], fieldsOf(...second)).length === 1;
}

test("matchingVariants() matches when the selecting fields agree, and looks at no other (RFC 9111 section 4.1)", () => {
  expect(matches("Foo", ["foo: 1", "Other: 2"], ["FOO: 1", "Other: 3"])).toBe(true);
  expect(matches("Foo", ["Foo: 1"], ["Foo: 2"])).toBe(false);
  expect(matches("Foo", ["Foo: a"], ["Foo: A"])).toBe(false);
  expect(matches("Foo, Bar", ["Foo: 1", "Bar: abc"], ["Bar: abc", "Foo: 1"])).toBe(true);
  expect(matches("Foo, Bar", ["Foo: 1", "Bar: abc"], ["Foo: 2", "Bar: abc"])).toBe(false);
  expect(matches("", [], ["Foo: 2"])).toBe(true);
});

test("matchingVariants() tells absent from present, also from empty", () => {
  expect(matches("Foo", [], ["Foo: 1"])).toBe(false);
  expect(matches("Foo", ["Foo: 1"], [])).toBe(false);
  expect(matches("Foo", ["Foo:"], [])).toBe(false);
  expect(matches("Foo, Bar", ["Foo: 1"], ["Bar: 1"])).toBe(false);
  expect(matches("Foo, Bar, Baz", ["Foo: 1", "Baz: 3"], ["Foo: 1", "Baz: 3"])).toBe(true);
});

test("matchingVariants() ignores whitespace around commas, and whether lines are joined", () => {
  expect(matches("Foo", ["Foo: 1, 2"], ["Foo: 1", "Foo: 2"])).toBe(true);
  expect(matches("Foo", ["Foo: 1,2"], ["Foo:  1, \t2 "])).toBe(true);
  expect(matches("Foo", ["Foo: 1,2"], ["Foo: 2,1"])).toBe(false);
  expect(matches("Foo", ['Foo: "1,2"'], ['Foo: "1, 2"'])).toBe(false);
});

test("matchingVariants() takes an empty member for one, since only of a list it is none (RFC 9111 section 4.1)", () => {
  expect(matches("Foo", ["Foo: ,7"], ["Foo: 7"])).toBe(false);
  expect(matches("Foo", ["Foo: 7,"], ["Foo: ,7"])).toBe(false);
  expect(matches("Foo", ["Foo: 1,,2"], ["Foo: 1,2"])).toBe(false);
  expect(matches("Foo", ["Foo: 1, ,2"], ["Foo: 1,,2"])).toBe(true);
  expect(matches("Foo", ["Foo: ,"], ["Foo:"])).toBe(false);
});

test("matchingVariants() takes a Cookie and a User-Agent as they are", () => {
  expect(matches("Cookie", ["Cookie: a=1,b=2"], ["Cookie: a=1, b=2"])).toBe(false);
  expect(matches("User-Agent", ["User-Agent: x (a, b)"], ["User-Agent: x (a,b)"])).toBe(false);
  expect(matches("Cookie", ["Cookie: a=1"], ["Cookie: a=1"])).toBe(true);
});

test("matchingVariants() compares Accept-Encoding and Accept-Language by meaning", () => {
  expect(matches("Accept-Encoding", ["Accept-Encoding: gzip, br"], ["Accept-Encoding: br;q=1,gzip"])).toBe(true);
  expect(matches("Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: identity"])).toBe(false);
  expect(matches("Accept-Encoding", ["Accept-Encoding: gzip"], [])).toBe(false);
  expect(matches("Accept-Language", ["Accept-Language: en, de"], ["Accept-Language: dE ,EN"])).toBe(true);
  expect(matches("Accept-Language", ["Accept-Language: ??"], ["Accept-Language: !!"])).toBe(false);
});

test("matchingVariants() finds the language a request prefers, if nothing matches exactly and all else does", () => {
  const german = "Content-Language: de";
  const wants = "Accept-Language: fr;q=0.5, de;q=1.0";
  expect(matches("Accept-Language", ["Accept-Language: en, de"], [wants], german)).toBe(true);
  expect(matches("Accept-Language", ["Accept-Language: en, de"], ["Accept-Language: fr, de;q=0.5"], german)).toBe(
    false,
  );
  expect(matches("Accept-Language, Foo", ["Accept-Language: en, de"], [wants, "Foo: 1"], german)).toBe(false);
  expect(matches("Foo", ["Foo: 1"], ["Foo: 2", wants], german)).toBe(false);
  expect(matches("Accept-Language", ["Accept-Language: en"], [wants], "Content-Language: de, en")).toBe(false);
  expect(matches("", [], [wants], german)).toBe(true);
  expect(variantOf(fieldsOf(), fieldsOf("Vary: Foo", german))?.byLanguage).toBeUndefined();
});

test("matchingVariants() are those that match exactly, or else by language", () => {
  const vary = "Vary: Accept-Language";
  const exact = variantOf(fieldsOf("Accept-Language: de"), fieldsOf(vary, "Content-Language: fr"))!;
  const german = variantOf(fieldsOf("Accept-Language: en"), fieldsOf(vary, "Content-Language: de"))!;
  const request = fieldsOf("Accept-Language: de");
  expect(indexesOf([exact, german], request)).toEqual([0]);
  expect(indexesOf([exact, exact, german], request)).toEqual([0, 1]);
  expect(indexesOf([german, german], request)).toEqual([0, 1]);
  expect(indexesOf([], request)).toEqual([]);
  expect(indexesOf([exact, german], fieldsOf("Accept-Language: it"))).toEqual([]);
});

test("matchingVariants() matches responses that vary on different fields each by its own", () => {
  const onFoo = variantOf(fieldsOf("Foo: 1"), fieldsOf("Vary: Foo"))!;
  const onBar = variantOf(fieldsOf("Bar: 1"), fieldsOf("Vary: Bar"))!;
  expect(indexesOf([onFoo, onBar], fieldsOf("Bar: 1"))).toEqual([1]);
  expect(indexesOf([onFoo, onBar], fieldsOf("Foo: 1", "Bar: 2"))).toEqual([0]);
  expect(indexesOf([onFoo, onBar], fieldsOf("Foo: 1", "Bar: 1"))).toEqual([0, 1]);
});

test("matchingVariants() reads what a request says once, however many variants there are and however long it is", () => {
  const vary = ["Vary: Accept-Encoding, Accept-Language, Foo", "Content-Language: de", "Content-Encoding: gzip"];
  const said = Array.from({ length: 1_000 }, (_, i) => [`Accept-Encoding: a${i}`, `Foo: ${i}`]);
  const variants = said.map((lines) => variantOf(fieldsOf(...lines), fieldsOf(...vary))!);
  const members = (unit: (i: number) => string) => Array.from({ length: 10_000 }, (_, i) => unit(i)).join();
  let asked = 0;
  for (const unit of [(i: number) => `a${i}`, (i: number) => `de-${i};q=0.5`, (i: number) => `${i}?`]) {
    const fields = ["Accept-Encoding", "Accept-Language", "Foo"].map((name) => `${name}: ${members(unit)}`);
    const request = fieldsOf(...fields);
    const counting = {
      get(lowerName: string) {
        asked++;
        return request.get(lowerName);
      },
    };
    expect(indexesOf(variants, counting)).toEqual([]);
    // The runner's time-out is the watchdog: each takes some 20 ms to read.
    expect(variants.filter(() => acceptsCoding(request, fieldsOf(vary[2]!)))).toEqual([]);
  }
  expect(asked).toBeLessThan(3 * 1_000 + 100);
});

test("varyKey() is equal for the same request and can not be forged by a value", () => {
  const requests = fc.array(
    fc.tuple(
      fc.constantFrom("a", "b"),
      fieldValue.map((value) => value.trim()),
    ),
    { maxLength: 3 },
  );
  check(
    fc.property(requests, requests, (first, second) => {
      const one = Fields.from(first);
      const other = Fields.from(second);
      expect(varyKey(["a", "b"], one)).toBe(varyKey(["a", "b"], Fields.from(first)));
      const isEqual = varyKey(["a", "b"], one) === varyKey(["a", "b"], other);
      const isEqualEach = ["a", "b"].every((name) => varyKey([name], one) === varyKey([name], other));
      expect(isEqual).toBe(isEqualEach);
      if (isEqual) expect([one.has("a"), one.has("b")]).toEqual([other.has("a"), other.has("b")]);
    }),
    2000,
  );
});
