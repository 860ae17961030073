import { expect, test } from "bun:test";
import { gatewayName, onGatewayName } from "./field-names.ts";

test.each([
  ["x-forwarded-host", "x-forwarded-host"],
  ["x_forwarded_host", "x-forwarded-host"],
  ["x-forwarded_host", "x-forwarded-host"],
  ["x.forwarded~host", "x-forwarded-host"],
  ["x__a1", "x--a1"],
])("gatewayName(): %p is read as %p", (name, read) => {
  expect(gatewayName(name)).toBe(read);
});

test("onGatewayName() judges each name once, and names beyond what it remembers as rightly", () => {
  const judged: string[] = [];
  const isA = onGatewayName((name) => {
    judged.push(name);
    return name === "x-a";
  });
  for (let round = 0; round < 2; round++)
    expect(["x-a", "x_a", "x-b", "x_b"].map(isA)).toEqual([true, true, false, false]);
  expect(judged).toEqual(["x-a", "x-a", "x-b", "x-b"]);
  for (let index = 0; index < 2_000; index++) expect(isA(`y-${index}`)).toBe(false);
  expect([isA("x.a"), isA("x.b"), isA("y".repeat(5_000))]).toEqual([true, false, false]);
});
