import { describe, expect, test } from "bun:test";
import { withAllocatorSettings } from "./allocator.ts";

describe("withAllocatorSettings", () => {
  test("adds the settings to what there is", () => {
    const environment = withAllocatorSettings({ PATH: "/bin" });
    expect(environment).toEqual({
      PATH: "/bin",
      MIMALLOC_PURGE_HOLES: "0",
      MIMALLOC_PURGE_DELAY: "2000",
      MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "2000",
      BUN_GC_TIMER_INTERVAL: "10000",
    });
  });

  test("keeps what somebody has set", () => {
    expect(withAllocatorSettings({ MIMALLOC_PURGE_DELAY: "50" })).toMatchObject({ MIMALLOC_PURGE_DELAY: "50" });
  });
});
