/**
 * Fuzzes the HTTP/1.1 parser. Differential: connections made by http1-messages.ts go through our parser and through
 * llhttp (Node's, in a `node` process) in batches; http1-verdict.ts says which differences are bugs; a bug is then
 * searched again one stream at a time, from the same seed, so that fast-check shrinks it.
 *
 * A million cases with WEBPROXY_TESTS=whole, 20,000 otherwise, or HTTP1_FUZZ_CASES=n; HTTP1_FUZZ_SEED=n repeats one.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { IS_WHOLE } from "../support/scale.ts";
import { Llhttp } from "./http1-llhttp.ts";
import { streams } from "./http1-messages.ts";
import { isSameMessages, readStream } from "./http1-stream.ts";
import { disagreement } from "./http1-verdict.ts";

const { HTTP1_FUZZ_CASES, HTTP1_FUZZ_SEED } = process.env;
const cases = Number(HTTP1_FUZZ_CASES ?? (IS_WHOLE ? 1_000_000 : 20_000));
const seed = Number(HTTP1_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const BATCH = 500;
// A case costs about a tenth of a millisecond; the watchdog is for a reader that hangs.
const TIMEOUT_MS = 60_000 + cases * 2;

console.log(`http1 fuzz: HTTP1_FUZZ_SEED=${seed} HTTP1_FUZZ_CASES=${cases}`);

test(
  "our parser and llhttp read the same messages, or a vector argues why not",
  async () => {
    await using llhttp = new Llhttp();
    const tally: Record<string, number> = {};
    for (let done = 0; done < cases; done += BATCH) {
      const numRuns = Math.min(BATCH, cases - done);
      const batch = fc.sample(streams, { seed: seed + done, numRuns });
      const theirs = await llhttp.read(batch);
      const ours = batch.map((stream) => readStream(stream));
      for (const [i, stream] of batch.entries()) {
        const outcome = `${ours[i]!.outcome}/${theirs[i]!.outcome}`;
        tally[outcome] = (tally[outcome] ?? 0) + 1;
        if (disagreement(stream, ours[i]!, theirs[i]!) !== undefined) await shrink(llhttp, seed + done, numRuns);
      }
    }
    console.log("http1 fuzz: ours/llhttp", tally);
    // A generator that makes nothing but refusals would prove nothing.
    expect((tally["end/end"] ?? 0) + (tally["last/last"] ?? 0)).toBeGreaterThan(cases / 10);
    expect(tally["refused/refused"] ?? 0).toBeGreaterThan(cases / 20);
  },
  TIMEOUT_MS,
);

async function shrink(llhttp: Llhttp, batchSeed: number, numRuns: number): Promise<never> {
  const agrees = fc.asyncProperty(streams, async (stream) => {
    const [theirs] = await llhttp.read([stream]);
    const ours = readStream(stream);
    const why = disagreement(stream, ours, theirs!);
    if (why !== undefined) throw new Error(`${why}\nours   ${JSON.stringify(ours)}\nllhttp ${JSON.stringify(theirs)}`);
  });
  await fc.assert(agrees, { seed: batchSeed, numRuns });
  throw new Error(`Two readers disagreed with seed ${batchSeed}, but agree when asked one stream at a time`);
}

test("cut anywhere, a stream reads the same", () => {
  const property = fc.property(streams, fc.array(fc.nat({ max: 400 }), { maxLength: 6 }), (stream, places) => {
    const cuts = [...new Set(places)].filter((place) => place < stream.bytes.length).sort((a, b) => a - b);
    const whole = readStream(stream);
    for (const pieces of [cuts, Array.from({ length: stream.bytes.length }, (_, i) => i)]) {
      const reading = readStream(stream, pieces);
      expect(reading.outcome).toBe(whole.outcome);
      expect(isSameMessages(reading.messages, whole.messages)).toBe(true);
    }
  });
  fc.assert(property, { seed, numRuns: Math.min(cases, 5000) });
});

test("any bytes at all are read without an exception", () => {
  const octets = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  const property = fc.property(octets, fc.constantFrom("request" as const, "response" as const), (bytes, kind) => {
    expect(["incomplete", "refused", "end", "last"]).toContain(readStream({ kind, bytes }).outcome);
    const head = kind === "request" ? "GET / HTTP/1.1\r\nHost: a\r\n" : "HTTP/1.1 200 OK\r\n";
    const chunked = readStream({ kind, bytes: `${head}Transfer-Encoding: chunked\r\n\r\n${bytes}` });
    expect(["incomplete", "refused", "end"]).toContain(chunked.outcome);
  });
  fc.assert(property, { seed, numRuns: Math.min(cases, 20_000) });
});
