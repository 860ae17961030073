import { expect, test } from "bun:test";
import { objectName, SharedMemory } from "@proj/ipc";
import { type AccessRecord, AccessRingWriter, accessRingsBytes, channelNames, initAccessRings } from "@proj/protocol";
import { AccessFeed, type TakenRecord } from "./feed.ts";

const RECORD: AccessRecord = {
  sequence: 0,
  startedMs: 1_700_000_000_000,
  firstByteMs: 1,
  totalMs: 2,
  originMs: undefined,
  status: 200,
  verdict: "hit",
  aborted: false,
  stored: true,
  collapsed: false,
  stale: false,
  wire: "http",
  minorVersion: 1,
  isTls: false,
  bytes: 1,
  weight: 1,
  method: "GET",
  target: "/a",
  host: "",
  client: "127.0.0.1",
  referer: "",
  userAgent: "",
  trace: "",
};

function makeRings(): { channel: string; memory: SharedMemory } {
  const channel = `test-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
  const memory = SharedMemory.create(objectName(channelNames(channel).access), accessRingsBytes(2));
  initAccessRings(memory.buffer, { life: 3, threads: 2 });
  return { channel, memory };
}

test("AccessFeed takes what both threads have recorded, and says that it wants all", () => {
  const { channel, memory } = makeRings();
  try {
    const writers = [new AccessRingWriter(memory.buffer, 0), new AccessRingWriter(memory.buffer, 1)];
    writers[0]!.write({ ...RECORD, target: "/before" });
    const taken: TakenRecord[] = [];
    const feed = new AccessFeed({ channel, wantsAll: true, from: "oldest", onRecords: (some) => taken.push(...some) });
    feed.poll();
    writers[1]!.write({ ...RECORD, target: "/after" });
    feed.stop();
    expect(taken.map(({ thread, target }) => [thread, target])).toEqual([
      [0, "/before"],
      [1, "/after"],
    ]);
    expect(writers[0]!.wantsAll(Date.now())).toBe(true);
  } finally {
    memory.unlink();
    memory.close();
  }
});

test("AccessFeed follows a proxy that has made the rings of the one before it its own", () => {
  const { channel, memory } = makeRings();
  try {
    const taken: string[] = [];
    const onRecords = (some: readonly TakenRecord[]) => taken.push(...some.map(({ target }) => target));
    const onLost = (count: number) => taken.push(`${count} lost`);
    const feed = new AccessFeed({ channel, wantsAll: true, from: "oldest", onRecords, onLost });
    const former = new AccessRingWriter(memory.buffer, 0);
    for (const target of ["/1", "/2", "/3"]) former.write({ ...RECORD, target });
    feed.poll();
    memory.bytes.fill(0);
    feed.poll();
    initAccessRings(memory.buffer, { life: 4, threads: 2 });
    const next = new AccessRingWriter(memory.buffer, 0);
    next.write({ ...RECORD, target: "/4" });
    feed.poll();
    expect(next.wantsAll(Date.now())).toBe(true);
    next.write({ ...RECORD, target: "/5" });
    feed.stop();
    expect(taken).toEqual(["/1", "/2", "/3", "/4", "/5"]);
  } finally {
    memory.unlink();
    memory.close();
  }
});

/** Cuts the object to nothing and makes it what it was, so many times. */
const CUTTER = `
  const { ftruncateSync, openSync, readFileSync, writeSync } = require("node:fs");
  const [path, cuts] = process.argv.slice(1);
  const whole = readFileSync(path);
  const fildes = openSync(path, "r+");
  for (let cut = 0; cut < Number(cuts); cut++) {
    ftruncateSync(fildes, 0);
    writeSync(fildes, whole, 0, whole.length, 0);
  }`;
const CUTS = 2_000;

test("AccessFeed lives on when the rings are cut short at any moment, hundreds of times (CHECKLIST 56)", async () => {
  const { channel, memory } = makeRings();
  for (const thread of [0, 1]) {
    const writer = new AccessRingWriter(memory.buffer, thread);
    for (let count = 0; count < 900; count++) writer.write({ ...RECORD });
  }
  memory.close(); // whoever maps it ends by what follows
  const name = objectName(channelNames(channel).access);
  const cutter = Bun.spawn([process.execPath, "-e", CUTTER, `/dev/shm${name}`, String(CUTS)]);
  try {
    let taken = 0;
    while (cutter.exitCode === null) {
      const feed = new AccessFeed({
        channel,
        wantsAll: true,
        from: "oldest",
        onRecords: (some) => {
          taken += some.length;
        },
      });
      for (let polls = 0; polls < 5; polls++) feed.poll();
      feed.stop();
      await Bun.sleep(0); // for the end of the cutter to be heard of
    }
    expect(cutter.exitCode).toBe(0);
    expect(taken).toBeGreaterThan(0);
  } finally {
    cutter.kill("SIGKILL");
    await cutter.exited;
    SharedMemory.unlink(name);
  }
}, 60_000);
