import { expect, test } from "bun:test";
import { gatewayName } from "./field-names.ts";

test.each([
  ["x-forwarded-host", "x-forwarded-host"],
  ["x_forwarded_host", "x-forwarded-host"],
  ["x-forwarded_host", "x-forwarded-host"],
  ["x.forwarded~host", "x-forwarded-host"],
  ["x__a1", "x--a1"],
])("gatewayName(): %p is read as %p", (name, read) => {
  for (let round = 0; round < 2; round++) expect(gatewayName(name)).toBe(read);
});
