import { describe, expect, test } from "bun:test";
import { MessageQueue, objectName } from "@proj/ipc";
import { Counters, NOTICE_MESSAGE_BYTES_MAX, PROXY_COUNTERS, type ProxyCounter, writeNotices } from "@proj/protocol";
import { type NoticeOwner, Notices } from "./notices.ts";

const LIFE = 7;

function withNotices(
  run: (it: {
    notices: Notices;
    counters: Counters<ProxyCounter>;
    clock: { nowMs: number };
    told: string[];
    owner: (name: string, canDoWithout?: boolean) => NoticeOwner;
    say: (transfers: readonly number[], life?: number) => void;
  }) => void,
): void {
  const name = objectName(`/test-${process.pid}-${crypto.randomUUID().slice(0, 8)}-notices`);
  const counters = new Counters<ProxyCounter>(PROXY_COUNTERS, new Float64Array(PROXY_COUNTERS.length));
  const clock = { nowMs: 0 };
  const notices = new Notices(name, LIFE, counters, () => clock.nowMs);
  try {
    const queue = MessageQueue.open(name);
    const message = new Uint8Array(new ArrayBuffer(NOTICE_MESSAGE_BYTES_MAX));
    const say = (transfers: readonly number[], life = LIFE) => {
      const bytes = writeNotices(new DataView(message.buffer), life, transfers);
      expect(queue.trySend(message.subarray(0, bytes))).toBe(true);
    };
    const told: string[] = [];
    const owner = (name: string, canDoWithout = true) => ({
      canDoWithout,
      noticed: () => void told.push(name),
      lost: () => void told.push(`${name} lost`),
    });
    run({ notices, counters, clock, told, owner, say });
    queue.close();
  } finally {
    notices.close();
  }
}

describe("Notices", () => {
  test("tells once who waits for one, and nobody else", () => {
    withNotices(({ notices, told, owner, say }) => {
      notices.expect(1, owner("one"));
      notices.expect(2, owner("two"));
      notices.expect(3, owner("three"));
      notices.forget(3);
      say([2, 3]);
      say([99, 1, 1]);
      const taken = notices.take();
      expect(taken).toEqual([2, 3, 99, 1, 1]);
      notices.handOut(taken);
      expect(told).toEqual(["two", "one"]);
      expect(notices.areExpected).toBe(false);
    });
  });

  test("leaves in the queue what came before anybody waits", () => {
    withNotices(({ notices, told, owner, say }) => {
      say([1]);
      expect(notices.take()).toEqual([]);
      notices.expect(1, owner("one"));
      notices.handOut(notices.take());
      expect(told).toEqual(["one"]);
    });
  });

  test("refuses what is said to another life", () => {
    withNotices(({ notices, counters, owner, say }) => {
      notices.expect(1, owner("one"));
      say([1], LIFE + 1);
      expect(notices.take()).toEqual([]);
      expect(counters.get("refusedMessages")).toBe(1);
      expect(notices.areExpected).toBe(true);
    });
  });

  test("has those ask again who have waited for two seconds", () => {
    withNotices(({ notices, clock, told, owner }) => {
      notices.expect(1, owner("one"));
      clock.nowMs = 1_000;
      notices.expect(2, owner("two"));
      notices.tellOverdue();
      expect(told).toEqual([]);
      clock.nowMs = 2_000;
      notices.tellOverdue();
      expect(told).toEqual(["one"]);
      clock.nowMs = 3_000;
      notices.tellOverdue();
      expect(told).toEqual(["one", "two"]);
    });
  });

  test("has those ask again who can do without, and keeps the others waiting", () => {
    withNotices(({ notices, told, owner }) => {
      notices.expect(1, owner("begun", false));
      notices.expect(2, owner("new"));
      notices.tellWhoCanDoWithout();
      expect(told).toEqual(["new"]);
      for (const waiting of notices.lose()) waiting.lost();
      expect(told).toEqual(["new", "begun lost"]);
      expect(notices.areExpected).toBe(false);
    });
  });
});
