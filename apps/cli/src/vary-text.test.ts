import { expect, test } from "bun:test";
import { varyText } from "./vary-text.ts";

test("varyText() says what each field was, and which were absent", () => {
  expect(varyText("accept-language:de,en\ncookie\0\nx-a:b:c\n")).toBe("accept-language: de,en; no cookie; x-a: b:c");
  expect(varyText("")).toBe("");
});
