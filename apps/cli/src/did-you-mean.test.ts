import { expect, test } from "bun:test";
import { nearest } from "./did-you-mean.ts";

test("nearest() finds what was meant, and nothing where nothing is near", () => {
  const known = ["origin", "threads", "segmentSize", "hot", "host", "ttl"];
  const cases: [string, string | undefined][] = [
    ["orgin", "origin"],
    ["thread", "threads"],
    ["segment-size", "segmentSize"],
    ["SEGMENT_SIZE", "segmentSize"],
    ["tlt", "ttl"],
    ["hots", "hot"],
    ["colour", undefined],
    ["", undefined],
    ["x", undefined],
  ];
  for (const [word, meant] of cases) expect([word, nearest(word, known)]).toEqual([word, meant]);
});
