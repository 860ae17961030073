/** The dashboard in a real browser: live under load, purges, is reached by keyboard, fits a telephone, says nothing in the console, and calls nobody else. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { joined } from "../shared/nodes.ts";
import { hasChromium, startBrowser } from "../support/browser.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { field, http } from "../support/http-client.ts";
import { RedisServer } from "../support/redis.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { furnish, Traffic } from "./traffic.ts";

const PATIENCE_MS = 30_000;
/** `WEBPROXY_SCREENSHOTS=1 bun test tests/observe/dashboard.test.ts` makes those of the documentation anew. */
const MAKES_SCREENSHOTS = process.env["WEBPROXY_SCREENSHOTS"] === "1";
const DOCS = join(import.meta.dir, "../../docs");

/** Waits for words. From outside: the page's policy lets no text be run as code. */
const shows = (page: Page, selector: string, words: string) =>
  eventually(PATIENCE_MS, `"${words}" in ${selector}`, async () => (await page.textContent(selector))?.includes(words));

describe.skipIf(!hasChromium)("dashboard", () => {
  let origin: CountingOrigin;
  let webproxy: Webproxy;
  let browser: Browser;
  beforeAll(async () => {
    origin = CountingOrigin.start();
    furnish(origin);
    webproxy = await Webproxy.start({ origin: origin.url });
    browser = await startBrowser();
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await webproxy?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
  }, 90_000);

  /** A page on which nothing may be said in the console and nothing asked of anybody else. */
  async function withPage(
    viewport: { width: number; height: number },
    use: (page: Page) => Promise<void>,
    { admin } = webproxy,
  ) {
    const page = await browser.newPage({ viewport });
    const said: string[] = [];
    const asked = new Set<string>();
    page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => said.push(error.message));
    page.on("request", (request) => asked.add(new URL(request.url()).origin));
    try {
      await page.goto(`http://${admin.host}:${admin.port}/`);
      await shows(page, "#status b", "Serves");
      await use(page);
      expect(said).toEqual([]);
      expect([...asked]).toEqual([`http://${admin.host}:${admin.port}`]);
    } finally {
      await page.close();
    }
  }

  const numberIn = async (page: Page, id: string) =>
    Number.parseFloat(((await page.textContent(`#${id}`)) ?? "").replaceAll(",", "")) || 0;

  test("shows live numbers under load", async () => {
    await using traffic = new Traffic(webproxy, 300);
    await withPage({ width: 1440, height: 1000 }, async (page) => {
      const shown = new Set<string | null>();
      await eventually(PATIENCE_MS, "figures that change", async () => {
        if ((await numberIn(page, "now-requests")) > 5) shown.add(await page.textContent("#now-requests"));
        return shown.size >= 3;
      });
      await eventually(PATIENCE_MS, "a hit ratio", async () => (await numberIn(page, "now-ratio")) > 20);
      expect(await numberIn(page, "now-sent")).toBeGreaterThan(0);
      expect(await numberIn(page, "now-latency")).toBeGreaterThan(0);
      await eventually(PATIENCE_MS, "the URL that is asked for most", async () =>
        ((await page.textContent("#top tr:first-child .url")) ?? "").includes("/images/product-0.jpg"),
      );
      await eventually(PATIENCE_MS, "rows", async () => (await page.locator("#recent tbody tr").count()) > 20);
      expect(await page.locator("#recent .chip.hit, #recent .chip.hot").count()).toBeGreaterThan(0);
      expect(await page.textContent("#pool-count")).toMatch(/^\d+ of 64 in use, 256 KiB each$/);
      expect(await page.textContent("#origins")).toContain(origin.url);
      expect(await page.textContent("#tiers")).toMatch(/Memory[\d.]+ [KM]iB of 256 MiB/);
      expect(await page.textContent("#latencies")).toMatch(/hot\d+ µs|hot[\d.]+ ms/);
      for (const chart of ["requests", "latency", "bytes"])
        expect(await page.locator(`#chart-${chart} canvas`).count()).toBe(1);
      // Something is drawn: not all of the canvas is of one colour.
      const colours = await page.evaluate(`{
        const canvas = document.querySelector("#chart-requests canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        new Set(new Uint32Array(data.buffer)).size;
      }`);
      expect(colours).toBeGreaterThan(10);
      // What is shown is what is counted.
      const { hits, misses } = await webproxy.stats();
      expect(hits + misses).toBeGreaterThan(traffic.asked / 4);
    });
  }, 120_000);

  test("shows the nodes that share, and says when this one is cut off", async () => {
    await using redis = await RedisServer.start();
    const args = ["--shared", redis.url, "--shared-budget", "8000", "--node", "first"];
    await using node = await Webproxy.start({ origin: origin.url, args });
    await joined(node);
    await withPage(
      { width: 1200, height: 900 },
      async (page) => {
        await shows(page, "#shared-nodes", "first");
        await shows(page, "#shared", "joined");
        for (const row of ["purges behind", "hits", "a look takes", "servers left alone"])
          expect(await page.textContent("#shared")).toContain(row);
        await redis.kill();
        await shows(page, "#shared", "alone");
        await shows(page, "#status b", "Serves, degraded");
      },
      node,
    );
    await withPage({ width: 1200, height: 900 }, async (page) => {
      expect(await page.isVisible("#shared-card")).toBe(false);
    });
  }, 120_000);

  test("says how many a purge would take, then takes them", async () => {
    await withPage({ width: 1200, height: 900 }, async (page) => {
      const verdict = async () => field((await http(webproxy.http, "/images/product-7.jpg")).head, "cache-status");
      await verdict();
      expect(await verdict()).toContain("; hit");
      await page.fill("#purge-value", "/images/product-7.jpg");
      await page.click("#purge-try");
      await shows(page, "#purge-result", "would be purged");
      expect(await page.textContent("#purge-result")).toStartWith("1 stored response (");
      expect(await verdict()).toContain("; hit");
      await page.click("#purge-do");
      await shows(page, "#purge-result", "is purged");
      expect(await verdict()).toContain("fwd=uri-miss");
      await page.selectOption("#purge-by", "tag");
      await page.fill("#purge-value", "shop");
      await page.check("#purge-soft");
      await page.click("#purge-do");
      await shows(page, "#purge-result", "stale now");
      expect(await verdict()).toContain("fwd=stale");
      // Everything is asked about first.
      await page.selectOption("#purge-by", "all");
      expect(await page.isVisible("#purge-value")).toBe(false);
      page.once("dialog", (dialog) => void dialog.dismiss());
      await page.click("#purge-do");
      await verdict();
      expect(await verdict()).toContain("; hit");
    });
  }, 90_000);

  test("explains what would happen to a request", async () => {
    await http(webproxy.http, "/images/product-9.jpg");
    await withPage({ width: 1200, height: 900 }, async (page) => {
      await page.fill("#explain-url", "/images/product-9.jpg");
      await page.fill("#explain-fields", "Cache-Control: no-cache");
      await page.click("#explain-do");
      await shows(page, "#explain-result", "VALIDATE: the origin would be asked");
      expect(await page.textContent("#explain-result")).toContain("RFC 9111 section 5.2.1.4");
      await page.fill("#explain-url", "nonsense");
      expect(await page.locator("#explain-url:invalid").count()).toBe(1);
    });
  }, 60_000);

  test("is reached by keyboard, and shows what clients write as text", async () => {
    await withPage({ width: 1200, height: 900 }, async (page) => {
      const script = "/x?a='&b=%3Cscript%3Ealert(1)%3C/script%3E\u202e";
      await http(webproxy.http, script.replace("\u202e", ""), { headers: { "User-Agent": "<b>bold</b>" } });
      await shows(page, "#recent", "alert(1)");
      expect(await page.locator("#recent script, #recent b").count()).toBe(0);
      const reached: string[] = [];
      for (let presses = 0; presses < 30; presses++) {
        await page.keyboard.press("Tab");
        reached.push(await page.evaluate<string>("document.activeElement.id || document.activeElement.className"));
      }
      for (const id of [
        "pause",
        "theme",
        "tab-requests",
        "purge-by",
        "purge-value",
        "purge-soft",
        "purge-do",
        "explain-url",
        "recent-filter",
        "scroll tall",
      ])
        expect(reached).toContain(id);
      await page.focus("#tab-requests");
      await page.keyboard.press("ArrowRight");
      expect(await page.getAttribute("#tab-bytes", "aria-selected")).toBe("true");
      await page.focus("#skip, .skip");
      await page.keyboard.press("p");
      expect(await page.getAttribute("#pause", "aria-pressed")).toBe("true");
      await page.keyboard.press("p");
      await page.fill("#recent-filter", "no such thing");
      expect(await page.locator("#recent tbody tr").count()).toBe(0);
    });
  }, 90_000);

  test("fits a narrow screen, in both colours", async () => {
    await withPage({ width: 360, height: 780 }, async (page) => {
      const overflow = () => page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
      expect(await overflow()).toBeLessThanOrEqual(0);
      const background = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
      await page.click("#theme");
      const light = await background();
      await page.click("#theme");
      expect(await page.textContent("#theme")).toBe("Dark");
      expect(await background()).not.toBe(light);
      expect(await overflow()).toBeLessThanOrEqual(0);
    });
  }, 90_000);

  test.skipIf(!MAKES_SCREENSHOTS)(
    "makes the pictures of the documentation",
    async () => {
      await using shop = await Webproxy.start({ origin: origin.url, channel: "shop" });
      await using _traffic = new Traffic(shop, 900);
      await withPage(
        { width: 1440, height: 1180 },
        async (page) => {
          await Bun.sleep(100_000);
          await page.click("#theme");
          await Bun.sleep(1500);
          await page.screenshot({ path: join(DOCS, "dashboard.png") });
          await page.click("#theme");
          await Bun.sleep(1500);
          await page.screenshot({ path: join(DOCS, "dashboard-dark.png"), fullPage: true });
        },
        shop,
      );
    },
    180_000,
  );
});
