import { expect, test } from "bun:test";
import { Fields } from "@proj/protocol";
import { saidInAnySpelling } from "./field-spellings.ts";

const said = (...lines: [string, string][]) => saidInAnySpelling(Fields.from(lines), "x-tongue");

test("saidInAnySpelling() is what the field says, where nothing else could be taken for it", () => {
  expect(said()).toBeUndefined();
  expect(said(["X_Own", "1"], ["Accept", "*/*"])).toBeUndefined();
  expect(said(["X-Tongue", "de"], ["x_own", "1"], ["X-TONGUE", "fr"])).toBe("de, fr");
});

test("saidInAnySpelling() tells every other spelling apart from none, from the usual one and from each other", () => {
  const requests: [string, string][][] = [
    [],
    [["X-Tongue", "fr"]],
    [["X_Tongue", "fr"]],
    [["x.tongue", "fr"]],
    [
      ["X-Tongue", "de"],
      ["X_Tongue", "fr"],
    ],
    [
      ["X-Tongue", "fr"],
      ["X_Tongue", "de"],
    ],
    [["X-Tongue", "de, fr"]],
  ];
  expect(new Set(requests.map((lines) => said(...lines))).size).toBe(requests.length);
});
