/**
 * CHECKLIST 57, from the cache's side: a real proxy, and a cache whose answers are the test's. First each field of an answer with each value that can not be, alone, so that it is
 * known which rule refused it; then any words at random, with notices of the true life between them, by a seed that is printed. Nothing is read through an offset or a length that
 * leads out of the segment, all is counted, nobody waits for ever, the process is the same one at the end, and an honest answer is then served byte for byte.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { FIRST_PAYLOAD_OFFSET, PAYLOAD_TAIL_BYTES, SEGMENT_BODY_OFFSET } from "@proj/protocol";
import { SeededRandom } from "../chaos/random.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { ownChannel, Webproxy } from "../support/webproxy.ts";
import { type FalseAsk, FalseCache, writeWhole } from "./false-cache.ts";
import { oddBytes, oddWord } from "./odd-words.ts";

const SEED = Math.floor(Math.random() * 2 ** 32);
const ANSWERS = IS_WHOLE ? 100_000 : 2_000;
const CLIENTS = 8;
const SEGMENT_BYTES = 16_384;
const BODY = someBytes(5_000, 57);
const HONEST = { sha256: sha256(BODY), bytes: BODY.length, isComplete: true };

/** Words of a segment's header, as it is drawn in segment-header.ts. */
const WORD = {
  version: 16,
  ticket: 17,
  state: 18,
  flags: 19,
  size: 20,
  bodyBytes: 22,
  availableBytes: 24,
  payloadOffset: 26,
  status: 27,
  headBytes: 28,
  verdict: 29,
  handling: 33,
  loan: 35,
} as const;
const FLAG = { last: 1, open: 2, loan: 8, trailers: 16 } as const;

let cache: FalseCache;
let webproxy: Webproxy;
beforeAll(async () => {
  const channel = ownChannel();
  // The origin answers nobody: what is served comes from the cache.
  const args = ["--threads", "1", "--segments", "8", "--segment-size", String(SEGMENT_BYTES)];
  cache = new FalseCache(channel);
  webproxy = await Webproxy.start({ command: "proxy", channel, origin: "http://127.0.0.1:9", args });
}, 90_000);
afterAll(async () => {
  cache?.[Symbol.dispose]();
  await webproxy?.[Symbol.asyncDispose]();
}, 90_000);

function honestly({ segment, wanted }: FalseAsk): void {
  writeWhole(segment, BODY, wanted);
  cache.post(segment);
}

const get = (wire: "http" | "getfile", path: string) =>
  wire === "http" ? http(webproxy.http, path) : getfile(webproxy.getfile, path);

async function expectHonest(): Promise<void> {
  cache.answer = honestly;
  for (const wire of ["http", "getfile"] as const) expect(await get(wire, "/honest")).toMatchObject(HONEST);
}

type Lie = (words: Int32Array) => void;
const word =
  (name: keyof typeof WORD, value: number): Lie =>
  (words) => {
    words[WORD[name]] = value;
  };
const int64 =
  (name: "size" | "bodyBytes" | "availableBytes", value: bigint): Lie =>
  (words) => {
    words[WORD[name]] = Number(BigInt.asIntN(32, value));
    words[WORD[name] + 1] = Number(BigInt.asIntN(32, value >> 32n));
  };
const flags =
  (set: number, cleared = 0): Lie =>
  (words) => {
    words[WORD.flags] = (words[WORD.flags]! | set) & ~cleared;
  };

/** The most that a portion may be long where it begins. */
const ROOM = SEGMENT_BYTES - FIRST_PAYLOAD_OFFSET - PAYLOAD_TAIL_BYTES;

const LIES: readonly (readonly [name: string, ...Lie[]])[] = [
  ["another layout version", word("version", 2)],
  ["the ticket of another question", word("ticket", 0x7ffffff0)],
  ["a state that is none", word("state", 3)],
  ["no state", word("state", 0)],
  ["not answered", word("state", 1)],
  ["a size of one more than there is room for", int64("size", BigInt(ROOM + 1))],
  ["a size of the whole segment", int64("size", BigInt(SEGMENT_BYTES))],
  ["a size of 2^31", int64("size", 2n ** 31n)],
  ["a size of 2^32", int64("size", 2n ** 32n)],
  ["a size of 2^53", int64("size", 2n ** 53n)],
  ["a size of 2^63 - 1", int64("size", 2n ** 63n - 1n)],
  ["a size that refuses for no known reason", int64("size", -99n)],
  ["a size of -2^63", int64("size", -(2n ** 63n))],
  ["a size of less than the response", int64("size", BigInt(BODY.length - 1))],
  ["no bytes, and not the last", int64("size", 0n), flags(FLAG.open, FLAG.last)],
  ["an offset of 0", word("payloadOffset", 0)],
  ["an offset in the header", word("payloadOffset", SEGMENT_BODY_OFFSET - 1)],
  ["an offset without room for a head", word("payloadOffset", SEGMENT_BODY_OFFSET)],
  ["an offset with one byte too few for a head", word("payloadOffset", FIRST_PAYLOAD_OFFSET - 1)],
  ["an offset of -1", word("payloadOffset", -1)],
  ["an offset of -2^31", word("payloadOffset", -(2 ** 31))],
  ["an offset of 2^31 - 1", word("payloadOffset", 2 ** 31 - 1)],
  ["an offset at the segment's end", word("payloadOffset", SEGMENT_BYTES)],
  ["an offset that leaves too little behind it", word("payloadOffset", SEGMENT_BYTES - PAYLOAD_TAIL_BYTES - 4_999)],
  ["a body of -2", int64("bodyBytes", -2n)],
  ["a body of 2^53", int64("bodyBytes", 2n ** 53n)],
  ["a body of -2^63", int64("bodyBytes", -(2n ** 63n))],
  ["a body longer than the last portion", int64("bodyBytes", 5_001n)],
  ["a body shorter than the portion", int64("bodyBytes", 4_999n)],
  ["-1 bytes available", int64("availableBytes", -1n)],
  ["2^53 bytes available", int64("availableBytes", 2n ** 53n)],
  ["a head of -1", word("headBytes", -1)],
  ["a head of 2^31 - 1", word("headBytes", 2 ** 31 - 1)],
  ["a head of one byte more", (words) => void words[WORD.headBytes]!++],
  ["a status of 0", word("status", 0)],
  ["a status of 99", word("status", 99)],
  ["a status of 1000", word("status", 1_000)],
  ["a status of -200", word("status", -200)],
  ["an interim response that is none", word("status", 103)],
  ["a verdict beyond the last", word("verdict", 9)],
  ["a verdict of -1", word("verdict", -1)],
  ["trailers for a body of known length", flags(FLAG.trailers)],
  ["a response to be kept ready that is longer than it is", word("handling", 4), int64("bodyBytes", 5_001n)],
  ["a loan that nobody has made, again and again", flags(FLAG.loan, FLAG.last), word("loan", -1)],
];

for (const wire of ["http", "getfile"] as const)
  test(`57 an answer by ${wire} with ${LIES.length} things that can not be: each is refused and counted, and the next is served`, async () => {
    for (const [name, ...lies] of LIES) {
      cache.answer = ({ segment, wanted }) => {
        writeWhole(segment, BODY, wanted);
        for (const lie of lies) lie(segment.i32);
        cache.post(segment);
      };
      // The proxy does without a cache that a busy machine has kept still: then it has not seen the lie.
      for (let tries = 0; ; tries++) {
        const before = cache.counted("refusedMessages");
        const path = `/${name.replaceAll(" ", "-")}`;
        const { status, bytes, isComplete } = await get(wire, path);
        const refused = cache.counted("refusedMessages") - before;
        if (refused === 0 && tries < 5 && cache.counted("cacheStalls") > 0) continue;
        const expected = wire === "http" ? "502" : "ERROR";
        const got = { name, refused, status, body: wire === "http" || bytes === 0, isComplete };
        expect(got).toEqual({ name, refused: 1, status: expected, body: true, isComplete: true });
        cache.answer = honestly;
        expect(await get(wire, path)).toMatchObject(HONEST);
        break;
      }
    }
    await expectHonest();
    await webproxy.segmentsReturned();
  }, 90_000);

test(
  `57 ${ANSWERS} answers and as many notices at random (seed ${SEED}): nobody waits for ever, and the proxy is the same process`,
  async () => {
    console.log(`false-cache seed ${SEED}`);
    const random = new SeededRandom(SEED);
    const transfers: number[] = [];
    let answers = 0;
    cache.answer = (ask) => {
      answers++;
      const { segment, wanted, request } = ask;
      const words = segment.i32;
      transfers.push(request.transfer);
      if (transfers.length > 32) transfers.shift();
      writeWhole(segment, BODY, wanted);
      const dice = random.next();
      if (dice < 0.1) int64("size", BigInt(random.between(-40, -1)))(words);
      else for (let times = random.between(1, 3); times > 0; times--) words[random.between(16, 47)] = oddWord(random);
      if (dice > 0.9) segment.bytes.set(oddBytes(random, 64), FIRST_PAYLOAD_OFFSET);
      // Words of the pool's part too; of the semaphore only what says "posted": what says that it was not keeps a client for 15 s.
      if (random.next() < 0.2) words[random.between(1, 15)] = oddWord(random);
      if (random.next() < 0.2) words[0] = random.pick([1, 2, 0x7ffffffe, 0x7fffffff]);
      else cache.post(segment);
      const notices = Array.from({ length: random.between(1, 127) }, () =>
        random.next() < 0.5 ? random.pick(transfers) : oddWord(random) >>> 0,
      );
      cache.notice(notices);
    };
    const refusedBefore = cache.counted("refusedMessages");
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, client) => {
        // Rejects when nothing came for 30 s.
        for (let turn = client; answers < ANSWERS; turn++)
          await get(turn % 2 === 0 ? "http" : "getfile", `/${turn % 50}`);
      }),
    );
    expect(cache.counted("refusedMessages") - refusedBefore).toBeGreaterThan(ANSWERS / 10);
    await expectHonest();
    await webproxy.segmentsReturned();
    expect((await webproxy.stats()).proxy?.pid).toBe(webproxy.pid);
    expect(/panic|Error:/.exec(webproxy.stderr)?.[0]).toBeUndefined();
  },
  ANSWERS * 5 + 90_000,
);
