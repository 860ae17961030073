import { describe, expect, test } from "bun:test";
import { describeAddress, parseSharedAddress } from "./address.ts";

describe("parseSharedAddress()", () => {
  test("reads hosts, ports, credentials and TLS", () => {
    expect(parseSharedAddress("redis://127.0.0.1")).toEqual({
      hosts: [{ host: "127.0.0.1", port: 6379 }],
      isTls: false,
      username: undefined,
      password: undefined,
    });
    expect(parseSharedAddress("rediss://me:p%40ss:word@a.example:7000,[::1]:7001,b/")).toEqual({
      hosts: [
        { host: "a.example", port: 7000 },
        { host: "::1", port: 7001 },
        { host: "b", port: 6379 },
      ],
      isTls: true,
      username: "me",
      password: "p@ss:word",
    });
    expect(parseSharedAddress("redis://:secret@h")).toMatchObject({ username: undefined, password: "secret" });
  });

  test.each([
    "",
    "http://h",
    "redis://",
    "redis://h:0",
    "redis://h:65536",
    "redis://h/0/1",
    "redis://a,,b",
    "redis://-h",
    "redis://h:x",
  ])("%p is none", (text) => expect(parseSharedAddress(text)).toBeUndefined());
});

test("describeAddress() tells no password", () => {
  expect(describeAddress(parseSharedAddress("rediss://me:secret@a:1,[::1]:2")!)).toBe("rediss://a:1,[::1]:2");
});
