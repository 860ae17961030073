import { describe, expect, test } from "bun:test";
import { BEGINNING, logEntryOf, payloadOf } from "./log-entry.ts";
import type { LoggedSelector } from "./purge-index.ts";

const entry = (payload: string) =>
  logEntryOf([Buffer.from("1764000000000000-0"), ["id", "aa", "what", payload].map((text) => Buffer.from(text))]);
const sequence = 1_764_000_000_000_000;
const everything = { sequence, selectors: [{ by: "all" }], soft: false } as const;

describe("logEntryOf()", () => {
  const selectors: LoggedSelector[] = [
    { by: "key", key: "k", target: "t" },
    { by: "prefix", prefix: "/a" },
    { by: "pattern", before: "", path: "/a", pattern: "/a*" },
    { by: "tag", tag: "t", before: "" },
    { by: "all" },
  ];
  for (const selector of selectors)
    test(`reads a purge by ${selector.by} as it was written`, () => {
      const purge = { selectors: [selector], soft: selector.by === "tag" };
      expect(entry(payloadOf(purge))).toEqual({ sequence, id: "aa", purge: { sequence, ...purge } });
    });

  test("reads a new beginning as no purge", () => {
    expect(entry(JSON.stringify(BEGINNING))).toEqual({ sequence, id: "aa", purge: undefined });
  });

  for (const payload of [
    "",
    "no JSON",
    "null",
    "[]",
    '{"selectors":{}}',
    '{"selectors":[{"by":"moon"}],"soft":true}',
    '{"selectors":[{"by":"constructor"}]}',
    '{"selectors":[{"by":"tag","tag":"t"}]}',
    '{"selectors":[null]}',
  ])
    test(`takes what it does not understand, ${JSON.stringify(payload)}, for a hard purge of everything`, () => {
      expect(entry(payload).purge).toEqual(everything);
    });

  test("takes an entry without fields for a purge of everything", () => {
    expect(logEntryOf([Buffer.from("7-0"), []])).toEqual({
      sequence: 7,
      id: "",
      purge: { ...everything, sequence: 7 },
    });
  });
});
