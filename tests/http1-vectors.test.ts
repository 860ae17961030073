/**
 * Runs tests/vectors/http1/*.json through our parser, in one piece and in many, and through llhttp (Node's parser, in a
 * `node` process). Each vector is one connection's bytes and what a reader has to make of them; where llhttp makes
 * something else of them the vector says what, and why ours is right: see docs/http-parsing.md.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Llhttp } from "./fuzz/http1-llhttp.ts";
import { isSameMessages, readStream, type Stream, type StreamReading } from "./fuzz/http1-stream.ts";

/** Octets as chars; long ones in parts. */
type Octets = string | (string | { repeat: string; times: number })[];

interface Vector {
  name: string;
  checklist: number;
  kind: "request" | "response";
  bytes: Octets;
  requestMethods?: string[];
  expect: {
    outcome: StreamReading["outcome"];
    reason?: string;
    status?: number;
    messages?: ExpectedMessage[];
  };
  llhttp?: { outcome: StreamReading["outcome"]; because: string };
}

/** What is not named is not looked at. */
interface ExpectedMessage {
  method?: string;
  target?: Octets;
  status?: number;
  fields?: [string, string][];
  body: Octets;
  trailers?: [string, string][];
}

const FOLDER = join(import.meta.dir, "vectors", "http1");
const files = readdirSync(FOLDER)
  .sort()
  .map((file) => ({ file, vectors: JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Vector[] }));

function expand(octets: Octets): string {
  if (typeof octets === "string") return octets;
  return octets.map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times))).join("");
}

function streamOf({ kind, bytes, requestMethods = [] }: Vector): Stream {
  return { kind, bytes: expand(bytes), requestMethods };
}

function expectMessages(reading: StreamReading, expected: ExpectedMessage[]): void {
  expect(reading.messages.length).toBe(expected.length);
  for (const [i, { target, body, ...rest }] of expected.entries()) {
    expect(reading.messages[i]).toMatchObject(rest);
    expect(reading.messages[i]!.body).toBe(expand(body));
    if (target !== undefined) expect(reading.messages[i]!.target).toBe(expand(target));
  }
}

/** Every byte on its own, but for the large ones: pieces of 997 bytes, so that no boundary is a power of two. */
function cutsOf(bytes: number): number[] {
  const step = bytes > 4096 ? 997 : 1;
  return Array.from({ length: Math.floor((bytes - 1) / step) }, (_, i) => (i + 1) * step);
}

let llhttp: Llhttp;
beforeAll(() => {
  llhttp = new Llhttp();
});
afterAll(() => llhttp[Symbol.asyncDispose]());

for (const { file, vectors } of files) {
  describe(file, () => {
    test.each(vectors.map((vector) => [`${vector.checklist}: ${vector.name}`, vector] as const))("%s", (_, vector) => {
      const stream = streamOf(vector);
      const { messages, ...verdict } = vector.expect;
      const whole = readStream(stream);
      expect(whole).toMatchObject(verdict);
      if (messages !== undefined) expectMessages(whole, messages);

      const inPieces = readStream(stream, cutsOf(stream.bytes.length));
      expect(inPieces.outcome).toBe(whole.outcome);
      expect(isSameMessages(inPieces.messages, whole.messages)).toBe(true);
    });

    test("llhttp says the same, or what the vector argues", async () => {
      const theirs = await llhttp.read(vectors.map(streamOf));
      for (const [i, vector] of vectors.entries()) {
        const reading = theirs[i]!;
        const expected = vector.llhttp?.outcome ?? vector.expect.outcome;
        expect(`${vector.name}: ${reading.outcome}`).toBe(`${vector.name}: ${expected}`);
        if (vector.llhttp !== undefined) expect(vector.llhttp.because.length).toBeGreaterThan(20);
        else if (expected !== "refused" && vector.expect.messages !== undefined) {
          expectMessages(reading, vector.expect.messages);
        }
      }
    });
  });
}

/** What a message of either direction can have wrong, and what only one can. */
const OF_BOTH = [1, 2, 3, 4, 5, 6, 7, 8, 9, 21];
const OF_REQUESTS = [10, 11, 12, 13, 14, 15, 16, 24];
const OF_RESPONSES = [17, 18, 19, 20];

test.each([
  ["request", [...OF_BOTH, ...OF_REQUESTS]],
  ["response", [...OF_BOTH, ...OF_RESPONSES]],
] as const)("vectors cover the framing half of the list: %s", (kind, numbers) => {
  const ofKind = files.flatMap(({ vectors }) => vectors.filter((vector) => vector.kind === kind));
  const covered = new Set(ofKind.map(({ checklist }) => checklist));
  expect(numbers.filter((number) => !covered.has(number))).toEqual([]);
});
