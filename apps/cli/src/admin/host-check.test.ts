import { describe, expect, test } from "bun:test";
import { isAdminHost } from "./host-check.ts";

describe("isAdminHost()", () => {
  test("takes the loopback interface and the configured host, with and without a port", () => {
    for (const host of [
      "localhost",
      "LOCALHOST:8081",
      "127.0.0.1",
      "127.0.0.1:8081",
      "127.5.6.7:1",
      "[::1]",
      "[::1]:8081",
    ]) {
      expect({ host, isTaken: isAdminHost(host, "127.0.0.1") }).toEqual({ host, isTaken: true });
    }
    expect(isAdminHost("Admin.internal:8081", "admin.Internal")).toBeTrue();
    expect(isAdminHost("192.0.2.1:8081", "0.0.0.0")).toBeTrue();
    expect(isAdminHost("[2001:db8::1]:8081", "::")).toBeTrue();
  });

  test("refuses every other name, and what is no host", () => {
    const foreign = [
      "evil.example",
      "evil.example:8081",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "127.evil.example",
      "192.0.2.1",
      "",
      "localhost:8081:1",
      "localhost:port",
      "user@localhost",
      "localhost/",
      "[::1",
      "[::1].evil.example",
      "127.0.0.1 evil",
    ];
    for (const host of foreign)
      expect({ host, isTaken: isAdminHost(host, "127.0.0.1") }).toEqual({ host, isTaken: false });
    expect(isAdminHost(null, "127.0.0.1")).toBeFalse();
    expect(isAdminHost("evil.example", "0.0.0.0")).toBeFalse();
  });
});
