import { MessageQueue, objectName, Semaphore, SharedMemory } from "../src/index.ts";
import { HAND_OVER, messageOf } from "./hand-over-layout.ts";

// The other process of hand-over.test.ts: echoes messages, answers semaphores, or adds with atomics.
const [what, nameText, roundsText] = process.argv.slice(2);
const name = objectName(nameText!);
const rounds = Number(roundsText);
const memory = SharedMemory.open(name);
console.log("ready");

if (what === "messages") {
  const queue = MessageQueue.open(name);
  const into = new Uint8Array(queue.msgsize);
  for (let round = 0; round < rounds; round++) {
    const length = queue.receive(into, { timeoutMs: 30_000 });
    const expected = messageOf(round);
    if (length !== expected.length || Buffer.compare(into.subarray(0, length), expected) !== 0) {
      console.error(`message ${round} is wrong: ${into.subarray(0, length)}`);
      process.exit(3);
    }
  }
} else if (what === "semaphores") {
  const asked = Semaphore.at(memory, HAND_OVER.asked);
  const answered = Semaphore.at(memory, HAND_OVER.answered);
  const { i32 } = memory;
  for (let round = 0; round < rounds; round++) {
    if (!asked.wait({ timeoutMs: 30_000 })) process.exit(4);
    if (i32[HAND_OVER.word] !== round) process.exit(3);
    i32[HAND_OVER.word] = ~round;
    answered.post();
  }
} else {
  const { i32 } = memory;
  for (let round = 0; round < rounds; round++) Atomics.add(i32, HAND_OVER.word, 1);
}
