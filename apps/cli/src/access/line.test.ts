import { describe, expect, test } from "bun:test";
import type { TakenRecord } from "./feed.ts";
import { parseFilter } from "./filter.ts";
import { accessLine, entryOf, milliseconds } from "./line.ts";

const RECORD: TakenRecord = {
  sequence: 1,
  startedMs: Date.UTC(2026, 10, 22, 10, 0, 5, 123),
  firstByteMs: 0.25,
  totalMs: 1500,
  originMs: 12,
  status: 200,
  verdict: "uri-miss",
  aborted: false,
  stored: true,
  collapsed: false,
  stale: false,
  wire: "http",
  minorVersion: 1,
  isTls: false,
  bytes: 1536,
  weight: 1,
  method: "GET",
  target: "/a?b=c",
  host: "example.org",
  client: "192.0.2.7",
  referer: "",
  userAgent: "curl/8",
  trace: "",
  thread: 3,
};
/** What a client can put into fields; a target holds visible ASCII only, but who knows. */
const NASTY = '/a\r\nERROR forged\x1b[2J\x9b31m"\\';
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

describe("accessLine()", () => {
  test("is one line in each format, from which no client breaks out (CHECKLIST 30)", () => {
    const nasty = {
      ...RECORD,
      target: NASTY,
      userAgent: NASTY,
      referer: NASTY,
      host: NASTY,
      method: NASTY,
      client: NASTY,
    };
    for (const format of ["pretty", "json", "combined"] as const) {
      const line = accessLine(nasty, format);
      expect(line).toEndWith("\n");
      expect(line.slice(0, -1)).not.toMatch(CONTROL);
    }
    expect(JSON.parse(accessLine(nasty, "json"))).toMatchObject({ target: NASTY, userAgent: NASTY, client: NASTY });
  });

  test("says everything in JSON, and nothing that is not known", () => {
    expect(JSON.parse(accessLine(RECORD, "json"))).toEqual({
      level: "info",
      source: "access",
      message: "request",
      time: "2026-11-22T10:00:05.123Z",
      client: "192.0.2.7",
      method: "GET",
      target: "/a?b=c",
      host: "example.org",
      protocol: "HTTP/1.1",
      status: 200,
      verdict: "uri-miss",
      bytes: 1536,
      firstByteMs: 0.25,
      totalMs: 1500,
      originMs: 12,
      thread: 3,
      flags: ["stored"],
      userAgent: "curl/8",
    });
    const bare = entryOf({
      ...RECORD,
      firstByteMs: undefined,
      originMs: undefined,
      stored: false,
      host: "",
      userAgent: "",
      wire: "getfile",
      weight: 64,
    });
    expect(Object.keys(bare)).not.toContain("firstByteMs");
    expect(bare).toMatchObject({ protocol: "GETFILE", weight: 64 });
  });

  test("is Apache's combined format at the time of the request", () => {
    expect(accessLine(RECORD, "combined")).toBe(
      '192.0.2.7 - - [22/Nov/2026:10:00:05 +0000] "GET /a?b=c HTTP/1.1" 200 1536 "-" "curl/8"\n',
    );
    expect(
      accessLine({ ...RECORD, method: "", target: "", client: "", status: 400, verdict: "malformed" }, "combined"),
    ).toBe('- - - [22/Nov/2026:10:00:05 +0000] "- - HTTP/1.1" 400 1536 "-" "curl/8"\n');
  });

  test("is readable for people, coloured only where asked", () => {
    const plain = accessLine(RECORD, "pretty");
    expect(plain).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} 200 uri-miss {2}GET \/a\?b=c HTTP\/1\.1 first 250µs total 1\.50s origin 12\.0ms 1\.5KiB thread 3 192\.0\.2\.7 stored\n$/,
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is looked for
    expect(accessLine(RECORD, "pretty", true).replaceAll(/\x1b\[\d+m/g, "")).toBe(plain);
  });
});

test("milliseconds() has three digits and a unit", () => {
  expect([0.0421, 0.9, 1, 12.345, 999, 1000, 61_234].map(milliseconds)).toEqual([
    "42µs",
    "900µs",
    "1.00ms",
    "12.3ms",
    "999ms",
    "1.00s",
    "61.2s",
  ]);
});

describe("parseFilter()", () => {
  test("keeps what it says", () => {
    const kept = [
      ...["status=200", "status=2xx", "status!=404", "status>=200", "status<201", "bytes>1535", "totalMs>=1500"],
      ...[
        "verdict=uri-miss",
        "target~^/a",
        "target!~^/b",
        "flags=stored",
        "flags!=aborted",
        "userAgent=curl/8",
        "referer=",
      ],
      ...["originMs<=12", "thread=3", "client=192.0.2.7"],
    ];
    const left = [
      ...["status=201", "status=5xx", "status!=2xx", "status>200", "verdict=hit", "target~^/b", "flags=stale"],
      ...["referer=x", "originMs>12", "userAgent!=curl/8"],
    ];
    for (const text of kept) expect({ text, kept: holds(text) }).toEqual({ text, kept: true });
    for (const text of left) expect({ text, kept: holds(text) }).toEqual({ text, kept: false });
  });

  test("says why it is none", () => {
    for (const [text, why] of [
      ["status", "it is no FIELD=VALUE"],
      ["colour=red", 'there is no field "colour"'],
      ["target>5", "> compares numbers"],
      ["status>many", '"many" is no number'],
      ["status>", '"" is no number'],
      ["target~(", "Cannot filter by"],
    ] as const)
      expect(parseFilter(text)).toContain(why);
  });
});

function holds(text: string): boolean {
  const filter = parseFilter(text);
  if (typeof filter === "string") throw new Error(filter);
  return filter(RECORD);
}
