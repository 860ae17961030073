import { describe, expect, test } from "bun:test";
import { createLog, type LogFormat } from "./log.ts";
import { combinedLine } from "./log-combined.ts";

const NASTY = "/a\r\nERROR forged\x1b[2J\x9b31m\u2028\u202etxt";
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/;

function linesOf(format: LogFormat, isQuiet = false) {
  const lines: string[] = [];
  const output = { isTerminal: false, write: (line: string) => lines.push(line) };
  const log = createLog({ format, isQuiet, source: "proxy", isColored: false, output });
  return { lines, log };
}

describe("createLog()", () => {
  test("writes a JSON object a line, with its source, and keeps every text exactly", () => {
    const { lines, log } = linesOf("json");
    log({ level: "warn", message: "Cannot read", target: NASTY, error: new Error("why"), bytes: 5 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toEndWith("}\n");
    expect(lines[0]).not.toMatch(CONTROL);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: "warn",
      source: "proxy",
      message: "Cannot read",
      target: NASTY,
      error: "why",
      bytes: 5,
    });
  });

  test("writes one line for people, from which no client breaks out", () => {
    const { lines, log } = linesOf("pretty");
    log({ level: "info", message: `asked for ${NASTY}`, target: NASTY, list: [NASTY], [NASTY]: 1 });
    expect(lines.join("").trimEnd().split("\n")).toHaveLength(1);
    expect(lines.join("")).not.toMatch(CONTROL);
    expect(lines.join("")).toContain("proxy: asked for /a\\x0d\\x0aERROR forged\\x1b[2J\\x9b31m\\u2028\\u202etxt");
  });

  test("leaves out debug always, and all but errors when quiet", () => {
    for (const format of ["pretty", "json", "combined"] as const) {
      const { lines, log } = linesOf(format, true);
      for (const level of ["debug", "info", "warn", "error"] as const) log({ level, message: `said ${level}` });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain("said error");
    }
    const { lines, log } = linesOf("pretty");
    log({ level: "debug", message: "not shown" });
    expect(lines).toEqual([]);
  });

  test("writes requests in the combined format, and warnings as plain lines", () => {
    const { lines, log } = linesOf("combined");
    log({
      level: "info",
      message: "request",
      client: "127.0.0.1",
      method: "GET",
      target: NASTY,
      status: 200,
      bytes: 6,
    });
    log({ level: "info", message: "no request" });
    log({ level: "warn", message: NASTY });
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.slice(0, -1)).not.toMatch(CONTROL);
    expect(lines[1]).toStartWith("warn proxy: /a\\x0d\\x0aERROR");
  });
});

test("combinedLine() is Apache's combined format", () => {
  const record = {
    level: "info",
    message: "request",
    client: "::1",
    method: "GET",
    target: '/a"b\\',
    version: "HTTP/1.1",
    status: 404,
    userAgent: "curl/8",
  } as const;
  expect(combinedLine(record, new Date("2026-11-22T10:00:05.123Z"))).toBe(
    '::1 - - [22/Nov/2026:10:00:05 +0000] "GET /a\\"b\\\\ HTTP/1.1" 404 - "-" "curl/8"',
  );
  expect(combinedLine({ level: "info", message: "started" })).toBeUndefined();
});
