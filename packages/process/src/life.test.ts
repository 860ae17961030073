import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { objectName, SharedMemory } from "@proj/ipc";
import { channelNames, lifeIn, readControlBlock, stripeVersions, threadCounters } from "@proj/protocol";
import { ChannelInUseError, Life } from "./life.ts";
import { isAlive } from "./liveness.ts";

const PROGRAM = `
  const { Life } = await import(${JSON.stringify(new URL("./life.ts", import.meta.url).href)});
  const life = Life.begin({ side: "cache", channel: process.argv[1], threads: 1, originNames: [], removeLeftovers() {} });
  life.serve();
  console.log(life.number);
  setInterval(() => {}, 1000);
`;

function newChannel(): string {
  return `test-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
}

function leftOf(channel: string): string[] {
  return readdirSync("/dev/shm").filter((name) => name.startsWith(`webproxy.${channel}.`));
}

function begin(channel: string, removeLeftovers = () => {}, goesOnWithFormer = false): Life {
  const originNames = ["http://origin.example"];
  return Life.begin({ side: "cache", channel, threads: 1, originNames, goesOnWithFormer, removeLeftovers });
}

async function withOtherProcess(channel: string, use: (pid: number, life: number) => Promise<void>): Promise<void> {
  const child = Bun.spawn([process.execPath, "-e", PROGRAM, channel], { stdout: "pipe", stderr: "inherit" });
  try {
    const { value } = await child.stdout.getReader().read();
    await use(child.pid, Number(new TextDecoder().decode(value)));
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

describe("Life", () => {
  test("publishes who lives, in which state, and leaves nothing when it ends", () => {
    const channel = newChannel();
    const life = begin(channel);
    const peer = SharedMemory.open(objectName(channelNames(channel).controlBlock("cache")));
    const block = () =>
      readControlBlock(peer.buffer) as { life: number; pid: number; startTime: number; state: string };
    expect(block()).toMatchObject({ life: life.number, pid: process.pid, threads: 1, state: "starting" });
    expect(isAlive(block().pid, block().startTime)).toBe(true);
    expect(isAlive(block().pid, block().startTime + 1)).toBe(false);
    life.serve();
    expect(block().state).toBe("serving");
    life.stopping();
    expect(block().state).toBe("stopping");
    life[Symbol.dispose]();
    peer.close();
    expect(leftOf(channel)).toEqual([]);
  });

  test("a second one on the channel is refused in clear words while the first lives, and only then (CHECKLIST 54)", async () => {
    const channel = newChannel();
    await withOtherProcess(channel, async (pid) => {
      const refusal = `Cannot start the cache of channel "${channel}": process ${pid} is that already`;
      expect(() => begin(channel)).toThrow(refusal);
      expect(() => begin(channel)).toThrow(ChannelInUseError);
    });
    begin(channel)[Symbol.dispose]();
    expect(leftOf(channel)).toEqual([]);
  });

  test("kill -9: the next life has another number and its own control block, after left-overs were removed", async () => {
    const channel = newChannel();
    let former = 0;
    await withOtherProcess(channel, async (_, life) => {
      former = life;
    });
    const peer = SharedMemory.open(objectName(channelNames(channel).controlBlock("cache")));
    let removed = 0;
    const life = begin(channel, () => removed++);
    expect(removed).toBe(1);
    expect(life.number).not.toBe(former);
    expect(readControlBlock(peer.buffer)).toMatchObject({ life: former }); // the former one's memory is not touched
    peer.close();
    life[Symbol.dispose]();
    expect(leftOf(channel)).toEqual([]);
  });

  test("kill -9, and no memory for another control block: the former one is made its own, and peers who look at it see that", async () => {
    const channel = newChannel();
    await withOtherProcess(channel, async () => {});
    const peer = SharedMemory.open(objectName(channelNames(channel).controlBlock("cache")));
    const versions = stripeVersions(peer.buffer, 1).slice();
    threadCounters(peer.buffer, 0).fill(3);
    const former = lifeIn(peer.i32);
    const life = begin(channel, () => {}, true);
    expect(lifeIn(peer.i32)).toBe(life.number);
    expect(life.number).not.toBe(former);
    expect(readControlBlock(peer.buffer)).toMatchObject({ life: life.number, pid: process.pid, state: "starting" });
    // Nothing that is kept of the former life is good in this one, nor what it has counted.
    expect(stripeVersions(peer.buffer, 1).every((version, stripe) => version === versions[stripe]! + 1)).toBe(true);
    expect(threadCounters(peer.buffer, 0).every((count) => count === 0)).toBe(true);
    peer.close();
    life[Symbol.dispose]();
    expect(leftOf(channel)).toEqual([]);
  });

  test("left-overs that can not be removed: the error is told and the channel free again", () => {
    const channel = newChannel();
    const failing = () => {
      throw new Error("EPERM");
    };
    expect(() => begin(channel, failing)).toThrow("EPERM");
    begin(channel)[Symbol.dispose]();
    expect(leftOf(channel)).toEqual([]);
  });
});
