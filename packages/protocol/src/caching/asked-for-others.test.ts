import { expect, test } from "bun:test";
import { gatewayName } from "../http1/field-names.ts";
import { isForOthers, isOfOneClient } from "./asked-for-others.ts";

test("isForOthers() is nobody's condition, and nothing by which origins choose another host, target or method", () => {
  for (const name of ["if-match", "if_none_match", "range", "if-range"])
    expect([name, isForOthers(gatewayName(name)), isOfOneClient(gatewayName(name))]).toEqual([name, false, true]);
  for (const name of ["forwarded", "x-forwarded-host", "x_original_url", "x-http-method_override"])
    expect([name, isForOthers(gatewayName(name)), isOfOneClient(gatewayName(name))]).toEqual([name, false, false]);
  for (const name of ["accept", "cookie", "authorization", "cache-control", "x_own", "content-type"])
    expect([name, isForOthers(gatewayName(name)), isOfOneClient(gatewayName(name))]).toEqual([name, true, false]);
});
