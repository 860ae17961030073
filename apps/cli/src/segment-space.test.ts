import { expect, test } from "bun:test";
import { requireSegmentSpace } from "./segment-space.ts";

test("requireSegmentSpace() refuses a pool that does not fit, with what to do", () => {
  const space = { path: "/dev/shm", freeBytes: 64 * 1024 * 1024 };
  requireSegmentSpace({ segments: 64, segmentSize: 1024 * 1024 }, space);
  expect(() => requireSegmentSpace({ segments: 1024, segmentSize: 262_144 }, space)).toThrow(
    /^Cannot make 1024 segments of 256KiB in \/dev\/shm: they take 256MiB and 64MiB are free; give fewer with --segments or smaller/,
  );
});
