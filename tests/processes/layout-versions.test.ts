/** CHECKLIST 59: proxy and cache of two releases on one channel. Neither reads what the other has laid out in another manner; both say so, and clients are served without the cache. */
import { expect, test } from "bun:test";
import { objectName, SharedMemory } from "@proj/ipc";
import { channelNames, type Side } from "@proj/protocol";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { ownChannel, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const BODY = someBytes(50_000, 59);
const whole = { sha256: sha256(BODY), isComplete: true };
/** The second word of a control block. */
const VERSION = 1;

/** Makes the control block of one side that of another release until the end of the scope. */
function otherRelease(channel: string, side: Side): Disposable {
  const memory = SharedMemory.open(objectName(channelNames(channel).controlBlock(side)));
  const ours = memory.i32[VERSION]!;
  memory.i32[VERSION] = ours + 1;
  return {
    [Symbol.dispose]() {
      if (memory.closed) return;
      memory.i32[VERSION] = ours;
      memory.close();
    },
  };
}

async function expectServedWithoutTheCache(webproxy: Webproxy, origin: CountingOrigin): Promise<void> {
  const before = origin.count("/file");
  for (let time = 0; time < 2; time++) {
    expect(await http(webproxy.http, "/file")).toMatchObject(whole);
    expect(await getfile(webproxy.getfile, "/file")).toMatchObject(whole);
  }
  expect(origin.count("/file") - before).toBe(4);
}

/** Once both are of one release again. */
async function expectServedByTheCache(webproxy: Webproxy): Promise<void> {
  await eventually(30_000, "the cache answers", async () =>
    /^cache-status: webproxy; hit/im.test((await http(webproxy.http, "/file")).head),
  );
}

const ARGS = ["--threads", "1", "--hot", "0"];

test("59 a proxy does not talk to a cache of another layout version, says so, and serves without it", async () => {
  await using origin = CountingOrigin.start({ "/file": { body: BODY, headers: { "Cache-Control": "max-age=600" } } });
  const channel = ownChannel();
  await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args: ARGS });
  const release = otherRelease(channel, "cache");
  try {
    await using webproxy = await Webproxy.start({ origin: origin.url, command: "proxy", channel, args: ARGS });
    await expectServedWithoutTheCache(webproxy, origin);
    await webproxy.says("The cache of this channel is of another release");
    release[Symbol.dispose]();
    await expectServedByTheCache(webproxy);
    expect((await cache.stop()).exitCode).toBe(0);
  } finally {
    release[Symbol.dispose]();
  }
}, 90_000);

test("59 a cache refuses a proxy of another layout version, says so, and all are served without it", async () => {
  await using origin = CountingOrigin.start({ "/file": { body: BODY, headers: { "Cache-Control": "max-age=600" } } });
  const channel = ownChannel();
  await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args: ARGS });
  await using webproxy = await Webproxy.start({ origin: origin.url, command: "proxy", channel, args: ARGS });
  const release = otherRelease(channel, "proxy");
  try {
    await expectServedWithoutTheCache(webproxy, origin);
    await cache.says("A proxy of another release");
  } finally {
    release[Symbol.dispose]();
  }
  await expectServedByTheCache(webproxy);
  expect((await cache.stop()).exitCode).toBe(0);
}, 90_000);
