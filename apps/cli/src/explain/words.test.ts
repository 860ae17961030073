import { expect, test } from "bun:test";
import { explanationText } from "./words.ts";

test("explanationText() advises --fetch to whoever has not given it", () => {
  const answer = { url: "/a", outcome: "fetch", because: [], key: "http://a/a", stored: [] } as const;
  expect(explanationText({ ...answer, because: [], stored: [] })).toBe(
    "/a\n  MISS: the origin would be asked for it\n  key http://a/a\n\n  nothing is stored, and no response is remembered that could not be; --fetch asks for it\n",
  );
  const text = explanationText({ ...answer, because: [], stored: [], fetched: { status: 502, cacheStatus: null } });
  expect(text).toContain("  fetched just now: 502, Cache-Status: none\n");
  expect(text).toEndWith("no response is remembered that could not be\n");
});
