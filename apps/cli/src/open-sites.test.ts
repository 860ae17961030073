import { describe, expect, jest, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenSites } from "./open-sites.ts";

async function withDirectories(run: (one: string, other: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "webproxy-open-sites-"));
  try {
    const [one, other] = ["one", "other"].map((name) => join(directory, name)) as [string, string];
    for (const path of [one, other]) {
      mkdirSync(path);
      writeFileSync(join(path, "page.txt"), path);
    }
    await run(one, other);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function sitesOf(...origins: string[]) {
  const sites = origins.map((origin, index) => ({ name: `site-${index}`, path: `/${index}`, origin: [origin] }));
  return { origin: undefined, rules: [], sites } as unknown as Parameters<typeof OpenSites.open>[0];
}

async function page(url: string): Promise<string> {
  const response = await fetch(new URL("page.txt", url), { headers: { connection: "close" } });
  return await response.text();
}

const urls = (sites: OpenSites) => sites.settings.map(({ origins }) => origins[0]!);

describe("OpenSites", () => {
  test("has a directory that comes back within a minute at the address it had, and it stays there", () =>
    withDirectories(async (one, other) => {
      const sites = await OpenSites.open(sitesOf(one));
      try {
        const [before] = urls(sites);
        jest.useFakeTimers();
        await sites.use(sitesOf(other));
        await sites.use(sitesOf(one));
        jest.advanceTimersByTime(120_000);
        jest.useRealTimers();
        expect(urls(sites)).toEqual([before!]);
        expect(await page(before!)).toBe(one);
      } finally {
        jest.useRealTimers();
        await sites.stop();
      }
    }));

  test("changes nothing, and leaves nothing open, when one of the origins can not be", () =>
    withDirectories(async (one, other) => {
      const sites = await OpenSites.open(sitesOf(one));
      try {
        const before = urls(sites);
        await expect(sites.use(sitesOf(other, join(one, "none")))).rejects.toThrow("Cannot serve");
        expect(urls(sites)).toEqual(before);
        expect(await page(before[0]!)).toBe(one);
        await sites.use(sitesOf(one, other));
        expect(await page(urls(sites)[1]!)).toBe(other);
      } finally {
        await sites.stop();
      }
    }));

  test("serves a directory that two sites have once", () =>
    withDirectories(async (one) => {
      const sites = await OpenSites.open(sitesOf(one, one));
      try {
        const [first, second] = urls(sites);
        expect(second).toBe(first!);
      } finally {
        await sites.stop();
      }
    }));
});
