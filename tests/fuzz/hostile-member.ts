/**
 * A process of the same user that takes part in a channel as a proxy thread does, by its rules but for what it says: it takes segments of the pool, asks the cache with each field of
 * records and blocks at random, sends notices of the true life, and writes into the first 64 bytes of anybody's segments (the semaphore, and what the pool knows of a segment).
 * Nothing of that can be the reason for a wrong byte in somebody else's response.
 *
 *   hostile-member.ts CHANNEL ORIGIN SEED MS
 */
import { readdirSync } from "node:fs";
import { MessageQueue, objectName, SEGMENT_PREFIX_BYTES, type Segment, SegmentPool, SharedMemory } from "@proj/ipc";
import {
  channelNames,
  defaultSite,
  NOTICE_MESSAGE_BYTES_MAX,
  REQUEST_BYTES,
  readControlBlock,
  SEGMENT_BODY_OFFSET,
  siteId,
  writeAsked,
  writeInvalidationBlock,
  writeNotices,
  writePassedResponseBlock,
  writeRequest,
  writeRequestBlock,
} from "@proj/protocol";
import { SeededRandom } from "../chaos/random.ts";
import { oddBytes, oddWord } from "./odd-words.ts";

const [channel = "", origin = "", seed = "0", ms = "0"] = process.argv.slice(2);
const random = new SeededRandom(Number(seed));
const names = channelNames(channel);
const THREADS = 2;
const site = siteId(defaultSite([origin]));
const pool = SegmentPool.open(objectName(names.pool));
const member = pool.join();
const queues = new Map<string, MessageQueue>();
const life = proxyLife();

function proxyLife(): number {
  using memory = SharedMemory.open(objectName(names.controlBlock("proxy")), { readOnly: true });
  const block = readControlBlock(memory.buffer);
  if (typeof block !== "object") throw new Error(`The proxy's control block is ${block}`);
  return block.life;
}

function send(name: string, message: Uint8Array): void {
  const queue = queues.get(name) ?? MessageQueue.open(objectName(name));
  queues.set(name, queue);
  queue.trySend(message);
}

/** A block that could be one, for each operation; returns its length. */
const BLOCKS = {
  open: ({ bytes }: Segment) =>
    writeRequestBlock(bytes, {
      wire: random.pick(["http", "getfile"] as const),
      method: random.pick(["GET", "HEAD"] as const),
      site,
      target: random.pick(["/0", "/1", "/2", "/3", "/none", "/slow", `/${"x".repeat(random.between(1, 4_000))}`]),
      acceptsLoan: random.next() < 0.5,
      fieldSection: random.pick([
        "",
        "Range: bytes=0-9,20-29\r\n",
        "Range: bytes=5-\r\nIf-Range: x\r\n",
        "Cache-Control: no-cache\r\n",
        "If-None-Match: *\r\nTE: trailers\r\n",
        "no field\r\n:\r\n\r\n",
      ]),
      forwardingSection: random.pick(["", "Forwarded: for=192.0.2.1\r\n", "X-Forwarded-For:\r\nno field\r\n"]),
    }),
  invalidate: ({ bytes }: Segment) =>
    writeInvalidationBlock(bytes, {
      site,
      targets: random.pick([[], ["/0"], ["/0", "/1", ""], [`/${"y".repeat(2_000)}`]]),
      groups: random.pick([[], ["a"], ["", "b"]]),
    }),
  keep: ({ bytes }: Segment) =>
    writePassedResponseBlock(bytes, {
      requestTimeMs: random.pick([0, Date.now(), -1e300, 1e300]),
      responseTimeMs: random.pick([0, Date.now(), -1e300, 1e300]),
      status: random.pick([200, 204, 404, 599]),
      site,
      target: "/kept", // and nobody asks for it
      requestFieldSection: "Host: a\r\n",
      fieldSection: random.pick([
        "Cache-Control: max-age=600\r\nContent-Location: /kept\r\n",
        "Vary: *\r\n",
        "no field",
      ]),
      content: oddBytes(random, random.between(0, 2_000)),
    }),
};

/** Asks as a proxy would, with perhaps one word of the block and one of the record that is another. */
function ask(segment: Segment): void {
  const operation = random.pick(["open", "open", "open", "read", "invalidate", "keep"] as const);
  const blockBytes = operation === "read" ? random.pick([0, 1, 8_000, 2 ** 31 - 1]) : BLOCKS[operation](segment);
  const fixedWords = operation === "keep" ? 10 : 4;
  if (random.next() < 0.5) segment.i32[SEGMENT_BODY_OFFSET / 4 + random.between(0, fixedWords - 1)] = oddWord(random);
  const ticket = random.between(1, 0x7fffffff);
  segment.semaphore.reset(0);
  writeAsked(segment.i32, ticket);
  if (random.next() < 0.1) segment.i32[0] = 0x7fffffff; // the answer can not be posted
  const bytes = new Uint8Array(new ArrayBuffer(REQUEST_BYTES));
  const view = new DataView(bytes.buffer);
  writeRequest(view, 0, {
    operation,
    // Of the threads that there are too: with numbers that their own transfers have, or will have.
    thread: random.between(0, 3),
    proxyLife: life,
    transfer: random.pick([random.between(1, 2_000), oddWord(random) >>> 0]),
    segmentId: segment.id,
    segmentGeneration: segment.generation,
    segmentBytes: segment.bytes.length,
    ticket,
    firstByte: random.pick([0, 0, 1, 8_000, 2 ** 31, 2 ** 53 - 1]),
    bytesMax: blockBytes,
  });
  if (random.next() < 0.5) view.setInt32(random.between(0, REQUEST_BYTES / 4 - 1) * 4, oddWord(random), true);
  send(names.requestQueue(random.between(0, THREADS - 1)), bytes);
}

function close(): void {
  const bytes = new Uint8Array(new ArrayBuffer(REQUEST_BYTES));
  const nothing = { segmentId: 0, segmentGeneration: 0, segmentBytes: 0, ticket: 0, firstByte: 0, bytesMax: 0 };
  const transfer = random.between(1, 2_000);
  writeRequest(new DataView(bytes.buffer), 0, {
    ...{ operation: "close", thread: random.between(0, 3), proxyLife: life, transfer },
    ...nothing,
  });
  send(names.requestQueue(random.between(0, THREADS - 1)), bytes);
}

function notice(): void {
  const view = new DataView(new ArrayBuffer(NOTICE_MESSAGE_BYTES_MAX));
  const transfers = Array.from({ length: random.between(1, 127) }, () =>
    random.next() < 0.5 ? random.between(1, 2_000) : oddWord(random) >>> 0,
  );
  send(
    names.noticeQueue(random.between(0, THREADS - 1)),
    new Uint8Array(view.buffer, 0, writeNotices(view, life, transfers)),
  );
}

/** Of the semaphore only what says "posted", up to the most that it can hold; what says that it was not would keep a client for 15 s. */
function scribble(): void {
  const segments = readdirSync("/dev/shm").filter((file) => file.startsWith(`webproxy.${channel}.pool.seg.`));
  using memory = SharedMemory.open(objectName(`/${random.pick(segments)}`));
  if (random.next() < 0.3) memory.i32[0] = random.pick([1, 2, 0x7ffffffe, 0x7fffffff]);
  else memory.i32[random.between(1, SEGMENT_PREFIX_BYTES / 4 - 1)] = oddWord(random);
}

const end = performance.now() + Number(ms);
let written = 0;
for (; performance.now() < end; written++) {
  const dice = random.next();
  try {
    if (dice < 0.15) notice();
    else if (dice < 0.3) scribble();
    else if (dice < 0.35) close();
    else {
      const segment = member.tryTake();
      if (segment !== undefined) {
        ask(segment);
        await segment.semaphore.waitAsync({ timeoutMs: 20 }); // what was refused has no answer
        // Who may still be writing there is the cache; another one gets a new object.
        member.replace(segment);
      }
    }
  } catch (error) {
    // Others replace segments, and give back what somebody has scribbled into: only what the kernel says is nothing to us.
    if (!(error instanceof Error && "code" in error)) throw error;
  }
  if (written % 16 === 0) await Bun.sleep(1);
}
member.close();
pool.close();
for (const queue of queues.values()) queue.close();
console.log(written);
