/**
 * A process of the same user that writes nonsense into what proxy and cache share: messages of random bytes into their queues, random words into the headers of
 * their segments. A program of its own, since what it does to its own mappings must not end the test.
 *
 *   hostile-writer.ts CHANNEL SEED MS
 */
import { readdirSync } from "node:fs";
import { MessageQueue, objectName, SharedMemory } from "@proj/ipc";
import {
  channelNames,
  NOTICE_MESSAGE_BYTES_MAX,
  REQUEST_BYTES,
  REQUEST_MESSAGE_BYTES_MAX,
  readControlBlock,
  SEGMENT_BODY_OFFSET,
  writeRequest,
} from "@proj/protocol";
import { SeededRandom } from "../chaos/random.ts";
import { oddBytes, oddWord } from "./odd-words.ts";

const [channel = "", seed = "0", ms = "0"] = process.argv.slice(2);
const random = new SeededRandom(Number(seed));
const names = channelNames(channel);
/** The semaphore and what the pool knows of a segment come first: whoever writes there stops the flow, which is another matter. */
const HEADER_FROM = 64;
const THREADS = 2;

function proxyLife(): number {
  using memory = SharedMemory.open(objectName(names.controlBlock("proxy")), { readOnly: true });
  const block = readControlBlock(memory.buffer);
  return typeof block === "object" ? block.life : 0;
}

/** A request that could be one, but for one word of it. */
function almostRequest(life: number): Uint8Array {
  const bytes = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(bytes.buffer);
  writeRequest(view, 0, {
    operation: random.pick(["open", "read", "close", "invalidate", "keep"] as const),
    thread: random.between(0, 80),
    proxyLife: life,
    transfer: random.between(0, 1000),
    segmentId: random.between(0, 40),
    segmentGeneration: random.between(0, 4),
    segmentBytes: 16_384,
    ticket: random.between(0, 1000),
    firstByte: random.pick([0, 1, 2 ** 31, 2 ** 53 - 1]),
    bytesMax: random.pick([0, 1, 16_000, 2 ** 31 - 1]),
  });
  if (random.next() < 0.7) view.setInt32(random.between(0, REQUEST_BYTES / 4 - 1) * 4, oddWord(random), true);
  return bytes;
}

function sendTo(name: string, message: Uint8Array): void {
  const queue = MessageQueue.open(objectName(name));
  try {
    queue.trySend(message);
  } finally {
    queue.close();
  }
}

function scribble(): void {
  const segments = readdirSync("/dev/shm").filter((file) => file.startsWith(`webproxy.${channel}.pool.seg.`));
  using memory = SharedMemory.open(objectName(`/${random.pick(segments)}`));
  for (let times = random.between(1, 4); times > 0; times--) {
    memory.i32[random.between(HEADER_FROM / 4, SEGMENT_BODY_OFFSET / 4 - 1)] = oddWord(random);
  }
  // As if the other side had answered, so that what is in there is looked at.
  if (random.next() < 0.3) memory.bytes.set(oddBytes(random, 64), SEGMENT_BODY_OFFSET);
}

const life = proxyLife();
const end = performance.now() + Number(ms);
let written = 0;
while (performance.now() < end) {
  try {
    const dice = random.next();
    const thread = random.between(0, THREADS - 1);
    if (dice < 0.2) sendTo(names.requestQueue(thread), oddBytes(random, random.between(0, REQUEST_MESSAGE_BYTES_MAX)));
    else if (dice < 0.4) sendTo(names.requestQueue(thread), almostRequest(life));
    else if (dice < 0.5)
      sendTo(names.noticeQueue(thread), oddBytes(random, random.between(0, NOTICE_MESSAGE_BYTES_MAX)));
    else scribble();
    written++;
  } catch {
    // A segment that was replaced as it was opened.
  }
  if (written % 16 === 0) await Bun.sleep(1);
}
console.log(written);
