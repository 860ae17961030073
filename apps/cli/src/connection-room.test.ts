import { describe, expect, test } from "bun:test";
import { connectionRoom, originRoom } from "./connection-room.ts";

describe("connectionRoom()", () => {
  test("is what the operator allows where the kernel allows more", () => {
    const asked = { threads: 2, maxConnections: 16_384 };
    expect(connectionRoom(asked, Number.POSITIVE_INFINITY)).toBe(16_384);
    expect(connectionRoom(asked, 1_048_576)).toBe(16_384);
    expect(connectionRoom(asked, 65_536)).toBe(16_384);
  });

  test("leaves files for the threads themselves and for connections to origins", () => {
    for (const threads of [1, 2, 8]) {
      const room = connectionRoom({ threads, maxConnections: 16_384 }, 1_024);
      expect(room * threads + 12 + 10 * threads).toBeLessThan(1_024 * 0.8);
      expect(room * threads).toBeGreaterThan(1_024 * 0.6);
    }
  });

  test("refuses to start where there is no room for one client, with what to do", () => {
    expect(() => connectionRoom({ threads: 2, maxConnections: 100 }, 24)).toThrow(
      /^Cannot start with 2 threads: .* opens 40 files .* RLIMIT_NOFILE allows it 24; raise it \(ulimit -n/,
    );
  });
});

test("originRoom() is what the operator allows, within what clients leave, and never so few that nothing passes", () => {
  const asked = { threads: 2, originConnections: 1_024 };
  expect(originRoom(asked)).toBe(1_024);
  expect(originRoom(asked, 65_536)).toBe(1_024);
  expect(originRoom(asked, 4_096)).toBe(512);
  expect(originRoom(asked, 256)).toBe(128);
  expect(originRoom({ ...asked, originConnections: 4 }, 256)).toBe(4);
});
