import { expect, test } from "bun:test";
import { InvalidNameError, objectName, semaphoreName } from "./object-name.ts";

test("objectName() takes what every kind of object takes", () => {
  for (const text of ["/a", "/webproxy.default.pool", "/ünï", "/...", `/${"x".repeat(254)}`]) {
    expect(objectName(text)).toBe(text as never);
  }
});

test("objectName() refuses the rest, with a code", () => {
  const bad = [
    "",
    "/",
    "a",
    "a/b",
    "/a/b",
    "//",
    "/a/",
    "/a\0b",
    "/.",
    "/..",
    `/${"x".repeat(255)}`,
    `/${"ü".repeat(128)}`,
  ];
  for (const text of [...bad, "/\ud800"]) {
    expect(() => objectName(text)).toThrow(InvalidNameError);
    expect(() => objectName(text)).toThrow(expect.objectContaining({ code: "ERR_IPC_NAME" }));
  }
});

test("semaphoreName() allows 251 bytes", () => {
  expect(semaphoreName(objectName(`/${"x".repeat(250)}`))).toHaveLength(251);
  expect(() => semaphoreName(objectName(`/${"x".repeat(251)}`))).toThrow("251");
});
