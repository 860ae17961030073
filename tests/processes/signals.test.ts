/**
 * CHECKLIST 61: signals during calls. A stop that is continued at once interrupts what all threads wait in: epoll_wait and others then fail with EINTR even where nothing handles
 * a signal (signal(7)). Each call goes on, with the time that is left.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { ownChannel, Webproxy } from "../support/webproxy.ts";

const FILES = [1_000, 100_000, 1_000_000].map((length, file) => {
  const body = someBytes(length, 61 + file);
  return { path: `/${file}`, body, sha256: sha256(body) };
});
const CLIENTS = 8;
const PULSES = 400;

test("61 hundreds of signals at any moment to both processes under load: every response is right, and nobody ends", async () => {
  await using origin = CountingOrigin.start();
  for (const { path, body } of FILES) origin.set(path, { body, headers: { "Cache-Control": "max-age=600" } });
  const channel = ownChannel();
  const args = ["--segments", "8", "--segment-size", "16KiB", "--hot", "0", "--memory", "0"];
  await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args });
  await using webproxy = await Webproxy.start({ origin: origin.url, command: "proxy", channel, args });
  let isOver = false;
  let served = 0;
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let turn = client; !isOver; turn++) {
      const { path, sha256 } = FILES[turn % FILES.length]!;
      const get = turn % 2 === 0 ? http(webproxy.http, path) : getfile(webproxy.getfile, path);
      expect(await get).toMatchObject({ isComplete: true, sha256 });
      served++;
    }
  });
  const signals = async () => {
    for (let pulse = 0; pulse < PULSES; pulse++) {
      const { pid } = pulse % 2 === 0 ? cache : webproxy;
      process.kill(pid, "SIGSTOP");
      process.kill(pid, "SIGCONT");
      if (pulse % 5 === 0) process.kill(pid, "SIGUSR1"); // handled: who rotates logs sends it
      await Bun.sleep(5);
    }
  };
  try {
    await signals();
  } finally {
    isOver = true;
  }
  await Promise.all(clients);
  expect(served).toBeGreaterThan(CLIENTS);
  await webproxy.segmentsReturned();
  const { proxy, cache: other, lostWakeups } = await webproxy.stats();
  expect({ pids: [proxy?.pid, other?.pid], lostWakeups }).toEqual({ pids: [webproxy.pid, cache.pid], lostWakeups: 0 });
  expect((await cache.stop()).exitCode).toBe(0);
}, 90_000);
