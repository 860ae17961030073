import { describe, expect, test } from "bun:test";
import { CACHE_COUNTERS, PROXY_COUNTERS } from "@proj/protocol";
import fc from "fast-check";
import type { LiveState } from "../live/live-view.ts";
import type { Sample } from "../live/sample.ts";
import { type FrameContent, renderFrame } from "./frame.ts";
import { PLAIN_HEADING, plainLine } from "./plain.ts";
import { bar, renderLine, sparkline } from "./text-line.ts";

const NASTY = "/a\r\n\x1b[2J\x9b31m\u202e日本";
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
const CONTROL = /[\x00-\x1f\x7f-\x9f\u202e]/;

function sample(at: number): Sample {
  const rates = {
    hot: 5000 + at,
    hit: 20,
    miss: 3,
    pass: 1,
    refused: 0,
    sentBytes: 1e7,
    originRequests: 4,
    originBytes: 1e5,
    errors: 0.5,
  };
  return { at, ...rates, p50Ms: 0.02, p90Ms: 1.5, p99Ms: 40, originP90Ms: null };
}

function content(segments: number): FrameContent {
  const counters = (names: readonly string[]) =>
    Object.fromEntries(names.map((name, index) => [name, index * 1000])) as never;
  const side = { pid: 12, state: "serving", threads: 2, startedAt: 0 } as const;
  const ports = { segments, segmentBytes: 4096, httpPort: 1, getfilePort: 2 };
  const top = [
    { target: NASTY, amount: 500 },
    { target: "/b".repeat(200), amount: 20 },
  ];
  const state: LiveState = {
    reading: {
      stats: {
        channel: "default",
        ...{
          hits: 1,
          misses: 2,
          portions: 3,
          segmentsInUse: 4,
          lostWakeups: 0,
          refusedMessages: 1,
          doubleGiveBacks: 0,
          checksumFailures: 0,
        },
        timings: {},
        origins: [{ origin: NASTY, asked: 5, failures: 1, restingThreads: 1 }],
        proxy: { ...side, ...ports, counters: counters(PROXY_COUNTERS) },
        cache: { ...side, state: "dead", counters: counters(CACHE_COUNTERS) },
      },
      proxyTimings: undefined,
      cacheTimings: undefined,
    },
    sample: sample(9),
    pool: {
      segmentBytes: 4096,
      waiting: 0,
      replaced: 0,
      states: Array.from({ length: segments }, (_, id) => (id % 3 === 0 ? "held" : "queued")),
    },
    top: { requests: top, bytes: top, misses: top },
    lastMinute: {},
  };
  const request = {
    time: "2026-11-22T10:00:05.123Z",
    client: "",
    method: "GET",
    protocol: "HTTP/1.1",
    status: 200,
    verdict: "hot",
    bytes: 5,
    totalMs: 1,
    thread: 0,
  };
  return {
    state,
    history: Array.from({ length: 30 }, (_, at) => sample(at)),
    requests: Array.from({ length: 50 }, (_, index) => ({ ...request, target: index === 49 ? NASTY : `/r/${index}` })),
    ranking: "requests",
    nowMs: 90_000,
  };
}

describe("renderFrame()", () => {
  test("fits every screen, and lets nobody steer it", () => {
    const size = fc.record({ columns: fc.integer({ min: 1, max: 300 }), rows: fc.integer({ min: 1, max: 120 }) });
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 3000 }), ({ columns, rows }, segments) => {
        const lines = renderFrame(content(segments), { columns, rows, isColored: false });
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) {
          expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
          expect(line).not.toMatch(CONTROL);
        }
      }),
    );
  });

  test("shows what an operator looks for", () => {
    const text = renderFrame(content(64), { columns: 120, rows: 50, isColored: false }).join("\n");
    for (const words of [
      "webproxy default",
      "proxy serving pid 12",
      "cache dead",
      "requests 5,033/s",
      "hit ratio 99.94%",
      "90% 1.50ms",
      "segments 22 of 64",
      "refused messages 1",
      "left alone by 1 thread",
      "top URLs by requests",
      "recent requests",
      "/r/48",
    ])
      expect(text).toContain(words);
    expect(text).toContain("/a\\x0d\\x0a\\x1b[2J\\x9b31m\\u202e日本");
  });

  test("colours only where asked", () => {
    const [plain, colored] = [false, true].map((isColored) =>
      renderFrame(content(64), { columns: 100, rows: 40, isColored }).join("\n"),
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is looked for
    expect(colored!.replaceAll(/\x1b\[\d+m/g, "")).toBe(plain!);
    expect(colored).not.toBe(plain);
  });
});

test("plainLine() stands under its heading", () => {
  const line = plainLine(content(4).state, Date.UTC(2026, 0, 1, 10, 0, 5));
  expect(line.length).toBe(PLAIN_HEADING.length);
  expect(line).toStartWith("10:00:05      5,033");
  expect(plainLine({ ...content(4).state, sample: undefined }, 0).length).toBe(PLAIN_HEADING.length);
});

test("bars and sparklines are as long as they are told", () => {
  for (const part of [-1, 0, 0.01, 0.5, 0.99, 1, 7, Number.NaN]) expect(Bun.stringWidth(bar(part, 10))).toBe(10);
  expect(bar(0.5, 4)).toBe("██··");
  expect(sparkline([0, 5, 10], 5)).toBe("  ▁▅█");
  expect(sparkline([], 3)).toBe("   ");
  expect(renderLine(["日本語"], 5, false)).toBe("日本…");
});
