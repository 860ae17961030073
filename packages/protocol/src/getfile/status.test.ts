import { expect, test } from "bun:test";
import { getfileStatusOf } from "./status.ts";

test("getfileStatusOf() says OK for 200 only, not found for 404 and 410, an error otherwise", () => {
  expect(getfileStatusOf(200)).toBe("OK");
  expect([404, 410].map(getfileStatusOf)).toEqual(["FILE_NOT_FOUND", "FILE_NOT_FOUND"]);
  expect([204, 206, 301, 304, 400, 401, 403, 429, 500, 502, 504].map(getfileStatusOf)).toEqual(Array(11).fill("ERROR"));
});
