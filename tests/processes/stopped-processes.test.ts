/** CHECKLIST 51: a process that stands still and goes on is late, not harmful: what it still writes reaches nobody else's response. */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { Webproxy } from "../support/webproxy.ts";

/** Longer than the 15 s after which the proxy takes a cache that says nothing for hung, and replaces the segments that it has. */
const STOPPED_MS = IS_WHOLE ? 30_000 : 17_000;
const FILES = Array.from({ length: 8 }, (_, file) => {
  const body = someBytes(300_000, 51 + file);
  return { path: `/${file}`, body, length: body.length, sha256: sha256(body) };
});
const CLIENTS = 32;

function withFiles(): CountingOrigin {
  const origin = CountingOrigin.start();
  for (const { path, body } of FILES) origin.set(path, { body, headers: { "Cache-Control": "max-age=600" } });
  return origin;
}

/** Each file by several clients, both ways. */
function getAll(webproxy: Webproxy): Promise<ClientResult>[] {
  return Array.from({ length: CLIENTS }, (_, client) => {
    const { path } = FILES[client % FILES.length]!;
    return client % 2 === 0
      ? getfile(webproxy.getfile, path, { timeoutMs: 60_000 })
      : http(webproxy.http, path, { timeoutMs: 60_000 });
  });
}

function expectHonest(results: readonly ClientResult[]): void {
  for (const [client, { status, isComplete, length, sha256 }] of results.entries()) {
    if (!isComplete || (status !== "OK" && status !== "200")) continue;
    const file = FILES[client % FILES.length]!;
    expect({ length, sha256 }).toEqual({ length: file.length, sha256: file.sha256 });
  }
}

/** What was refused by then was refused for being late, as it should; nothing more may be. */
async function expectAllWell(webproxy: Webproxy): Promise<void> {
  const before = await webproxy.stats();
  for (let round = 0; round < 5; round++) {
    const results = await Promise.all(getAll(webproxy));
    for (const { status, isComplete } of results) expect(["OK true", "200 true"]).toContain(`${status} ${isComplete}`);
    expectHonest(results);
  }
  await webproxy.segmentsReturned();
  const { restarts, refusedMessages } = await webproxy.stats();
  expect({ restarts, refusedMessages }).toEqual({
    restarts: { proxy: 0, cache: 0 },
    refusedMessages: before.refusedMessages,
  });
}

/** Fewer segments than clients, and small ones: each response takes many turns, and whatever is late hits one that is in use. */
const ARGS = ["--segments", "16", "--segment-size", "8KiB", "--hot", "0", "--memory", "0"];

test(`51 a cache that is stopped for ${STOPPED_MS / 1000} s: nobody hangs, nobody gets a wrong byte, and afterwards all is well`, async () => {
  await using origin = withFiles();
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ARGS });
  await Promise.all(getAll(webproxy));
  const { cache } = await webproxy.stats();
  const running = getAll(webproxy);
  process.kill(cache!.pid, "SIGSTOP");
  try {
    running.push(...getAll(webproxy));
    await Bun.sleep(STOPPED_MS);
  } finally {
    process.kill(cache!.pid, "SIGCONT");
  }
  // While the late answers come in, others are served.
  const during = getAll(webproxy);
  expectHonest(await Promise.all(running));
  expectHonest(await Promise.all(during));
  await expectAllWell(webproxy);
}, 120_000);

test("51 a proxy that is stopped for 3 s goes on where it was", async () => {
  await using origin = withFiles();
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ARGS });
  const running = getAll(webproxy);
  const { proxy } = await webproxy.stats();
  process.kill(proxy!.pid, "SIGSTOP");
  await Bun.sleep(3_000);
  process.kill(proxy!.pid, "SIGCONT");
  const results = await Promise.all(running);
  for (const { isComplete } of results) expect(isComplete).toBe(true);
  expectHonest(results);
  await expectAllWell(webproxy);
}, 120_000);
