/** The processes of the data path begin with the allocator's settings, however they are started, and take those of whoever set others. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Webproxy } from "../support/webproxy.ts";

function allocatorSettings(pid: number): string[] {
  const environment = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
  return environment.filter((variable) => /^(MIMALLOC|BUN_GC)_/.test(variable)).sort();
}

const SETTINGS = [
  "BUN_GC_TIMER_INTERVAL=10000",
  "MIMALLOC_PURGE_DELAY=2000",
  "MIMALLOC_PURGE_HOLES=0",
  "MIMALLOC_PURGE_HOLES_MIN_INTERVAL=2000",
];

test("a supervisor's proxy and cache have them", async () => {
  await using webproxy = await Webproxy.start({ origin: "demo" });
  const { proxy, cache } = await webproxy.stats();
  expect(allocatorSettings(proxy!.pid)).toEqual(SETTINGS);
  expect(allocatorSettings(cache!.pid)).toEqual(SETTINGS);
});

test("a proxy and a cache that run alone have them, under the process id that they were started as", async () => {
  const env = { MIMALLOC_PURGE_DELAY: "700" };
  using origin = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("from the origin") });
  const url = `http://127.0.0.1:${origin.port}`;
  await using proxy = await Webproxy.start({ command: "proxy", origin: url });
  const cache = await Webproxy.start({ command: "cache", origin: url, channel: proxy.channel, env });
  try {
    expect(allocatorSettings(proxy.pid)).toEqual(SETTINGS);
    expect(allocatorSettings(cache.pid)).toEqual(SETTINGS.map((one) => one.replace("DELAY=2000", "DELAY=700")));
    const response = await fetch(`http://127.0.0.1:${proxy.http.port}/`);
    expect(await response.text()).toBe("from the origin");
  } finally {
    await cache.stop();
  }
});
