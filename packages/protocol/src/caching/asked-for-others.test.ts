import { expect, test } from "bun:test";
import { isForOthers, isOfOneClient } from "./asked-for-others.ts";

test("isForOthers() is nobody's condition, and nothing by which origins choose another host, target or method", () => {
  for (const name of ["if-match", "if_none_match", "range", "if-range"])
    expect([name, isForOthers(name), isOfOneClient(name)]).toEqual([name, false, true]);
  for (const name of ["forwarded", "x-forwarded-host", "x_original_url", "x-http-method_override"])
    expect([name, isForOthers(name), isOfOneClient(name)]).toEqual([name, false, false]);
  for (const name of ["accept", "cookie", "authorization", "cache-control", "x_own", "content-type"])
    expect([name, isForOthers(name), isOfOneClient(name)]).toEqual([name, true, false]);
});
