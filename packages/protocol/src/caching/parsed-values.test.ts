import { expect, test } from "bun:test";
import { ParsedValues } from "./parsed-values.ts";

test("ParsedValues.of() parses what has come lately once, and holds a bounded number of values of bounded length", () => {
  let parsed = 0;
  const values = new ParsedValues((value) => {
    parsed++;
    return { value };
  });
  expect(values.of("max-age=1")).toBe(values.of("max-age=1"));
  expect(parsed).toBe(1);
  const long = "x".repeat(10_000);
  expect(values.of(long)).toEqual({ value: long });
  values.of(long);
  expect(parsed).toBe(3);
  for (let number = 0; number < 100_000; number++)
    expect(values.of(`max-age=${number}`).value).toBe(`max-age=${number}`);
  expect(values.of("max-age=1")).toEqual({ value: "max-age=1" });
});
