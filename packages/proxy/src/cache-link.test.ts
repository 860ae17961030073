import { describe, expect, test } from "bun:test";
import { objectName, SharedMemory } from "@proj/ipc";
import {
  type ChannelRequest,
  type ControlBlock,
  Counters,
  channelNames,
  controlBlockBytes,
  PROXY_COUNTERS,
  type ProxyCounter,
  REQUEST_BYTES,
  readControlBlock,
  readRequest,
  requestsIn,
  takeRoomWanted,
  writeControlBlock,
} from "@proj/protocol";
import { CacheLink } from "./cache-link.ts";

const THREAD = 3;
const LIFE = 21;

/** A request queue that is in nobody's kernel: it takes as many messages as a test says. */
class Queue {
  room = Number.POSITIVE_INFINITY;
  isClosed = false;
  readonly transfers: number[][] = [];

  trySend(message: Uint8Array): boolean {
    if (this.room === 0) return false;
    this.room--;
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const records = requestsIn(message.length) ?? 0;
    this.transfers.push(Array.from({ length: records }, (_, at) => readRequest(view, at * REQUEST_BYTES)!.transfer));
    return true;
  }

  close(): void {
    this.isClosed = true;
  }
}

function record(transfer: number): ChannelRequest {
  return {
    ...{ operation: "read", thread: THREAD, proxyLife: 1, transfer, ticket: 1, firstByte: 0, bytesMax: 100 },
    ...{ segmentId: 0, segmentGeneration: 1, segmentBytes: 4096 },
  };
}

function withLink(
  run: (it: {
    link: CacheLink;
    queues: Queue[];
    counters: Counters<ProxyCounter>;
    control: SharedMemory;
    process: { isAlive: boolean };
    block: ControlBlock;
  }) => void,
): void {
  const name = objectName(`/test-${process.pid}-${crypto.randomUUID().slice(0, 8)}-link`);
  const control = SharedMemory.create(name, controlBlockBytes(2));
  try {
    const block: ControlBlock = {
      ...{ life: LIFE, pid: process.pid, startTime: 1, state: "serving", threads: 2, startedAt: 0 },
      ...{ segments: 1, segmentBytes: 4096, httpPort: 0, getfilePort: 0 },
    };
    writeControlBlock(control.buffer, block);
    const counters = new Counters<ProxyCounter>(PROXY_COUNTERS, new Float64Array(PROXY_COUNTERS.length));
    const state = { isAlive: true };
    const queues = [new Queue(), new Queue()];
    const shards = queues.map((queue) => ({ queue, ringer: { ring: () => true, close: () => {} }, outbox: [] }));
    const owner = { names: channelNames("test"), thread: THREAD, counters, isAlive: () => state.isAlive };
    const said = readControlBlock(control.buffer);
    if (typeof said !== "object") throw new Error("The control block can not be read");
    run({ link: new CacheLink(owner, control, said, shards), queues, counters, control, process: state, block });
  } finally {
    control.close();
    SharedMemory.unlink(name);
  }
}

describe("CacheLink", () => {
  test("sends what was posted to a shard in order, ten records to a message, and rings it once", () => {
    withLink(({ link, queues, counters }) => {
      for (let transfer = 1; transfer <= 23; transfer++) link.post(1, record(transfer));
      expect(link.hasUnsent).toBe(true);
      link.flush();
      expect(queues[0]!.transfers).toEqual([]);
      expect(queues[1]!.transfers.map(({ length }) => length)).toEqual([10, 10, 3]);
      expect(queues[1]!.transfers.flat()).toEqual(Array.from({ length: 23 }, (_, index) => index + 1));
      expect(link.hasUnsent).toBe(false);
      expect([counters.get("messagesSent"), counters.get("bellsRung"), counters.get("queueFull")]).toEqual([3, 1, 0]);
    });
  });

  test("keeps what does not fit for the next time, and says that it waits for room", () => {
    withLink(({ link, queues, counters, control }) => {
      const [queue] = queues;
      queue!.room = 1;
      for (let transfer = 1; transfer <= 12; transfer++) link.post(0, record(transfer));
      link.flush();
      link.post(0, record(13));
      expect(link.hasUnsent).toBe(true);
      expect(counters.get("queueFull")).toBe(1);
      expect(takeRoomWanted(control.i32, 0)).toEqual([THREAD]);
      expect(takeRoomWanted(control.i32, 1)).toEqual([]);
      queue!.room = 5;
      link.flush();
      expect(queue!.transfers.flat()).toEqual(Array.from({ length: 13 }, (_, index) => index + 1));
      expect(link.hasUnsent).toBe(false);
    });
  });

  test("is over when its process is dead, or another life has its control block", () => {
    withLink(({ link, process, control, block }) => {
      expect(link.look(0)).not.toBe("over");
      process.isAlive = false;
      expect(link.look(50)).toBe("over");
      process.isAlive = true;
      expect(link.look(100)).not.toBe("over");
      writeControlBlock(control.buffer, { ...block, life: LIFE + 1 });
      expect(link.look(150)).toBe("over");
    });
  });

  test("close() closes the ways to its shards, and leaves the control block", () => {
    withLink(({ link, queues, control }) => {
      link.close();
      expect(queues.map(({ isClosed }) => isClosed)).toEqual([true, true]);
      expect(control.bytes.length).toBe(controlBlockBytes(2));
    });
  });
});
