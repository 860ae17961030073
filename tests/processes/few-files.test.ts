/** Where the open-file limit is low, who comes beyond what it has room for is refused in words, and others are served. */
import { expect, test } from "bun:test";
import { crowd } from "../load/crowd.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const FILES = 100;
const IDLE = 200;

test("a crowd beyond the open-file limit is refused, not left waiting, and all is well when it has gone", async () => {
  await using origin = CountingOrigin.start();
  origin.set("/file", { body: Buffer.alloc(1_000, "x"), headers: { "Cache-Control": "max-age=600" } });
  await using webproxy = await Webproxy.start({ origin: origin.url, wrap: ["prlimit", `--nofile=${FILES}`] });
  await webproxy.says("RLIMIT_NOFILE has room for");
  {
    using _crowd = await crowd(webproxy.http, IDLE);
    // Each of them has an answer: none waits for a descriptor.
    const answers = () => Promise.all(Array.from({ length: 20 }, () => http(webproxy.http, "/file")));
    const isRefused = ({ status, isComplete }: ClientResult) => status === "503" && isComplete;
    await eventually(30_000, "no thread has room left", async () => (await answers()).every(isRefused));
  }
  await eventually(30_000, "there is room again", async () => (await http(webproxy.http, "/file")).status === "200");
  expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
}, 120_000);

test("bodies on loan do not take the descriptors that others need", async () => {
  const body = someBytes(140_000, 59);
  await using origin = CountingOrigin.start();
  const paths = Array.from({ length: 250 }, (_, index) => `/lent-${index}`);
  for (const path of paths) origin.set(path, { body, headers: { "Cache-Control": "max-age=600" } });
  const args = ["--threads", "1", "--segment-size", "64KiB", "--cache-dir", "none"];
  await using webproxy = await Webproxy.start({ origin: origin.url, args, wrap: ["prlimit", "--nofile=256"] });
  for (let round = 0; round < 3; round++)
    for (const path of paths) expect((await http(webproxy.http, path)).sha256).toBe(sha256(body));
  expect((await webproxy.stats()).proxy!.counters.loansBorrowed).toBeGreaterThanOrEqual(paths.length);
  expect((await http(webproxy.http, "/lent-0", { method: "POST" })).status).toBe("200");
}, 120_000);
