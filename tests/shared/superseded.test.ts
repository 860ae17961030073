/** What one node has dropped because of the origin's answer comes back from no other through the engine. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { DecidingOrigin, type OriginAnswer } from "../caching/origin.ts";
import { get } from "../caching/support.ts";
import { RedisServer } from "../support/redis.ts";
import type { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { Nodes, written } from "./nodes.ts";

setDefaultTimeout(120_000);

/** Fresh for a second, and then usable as stale, or after a failure, for ten minutes. */
const FIRST = {
  headers: { "Cache-Control": "max-age=1, stale-while-revalidate=600, stale-if-error=600", ETag: '"old"' },
  body: "old body",
};

async function metadataCount(redis: RedisServer): Promise<number> {
  return (await redis.cli("keys", "*:m")).split("\n").filter((key) => key !== "").length;
}

/** A node stores the first answer and shares it; then, when it is stale, it gets `next`. */
async function afterAnswer(
  next: OriginAnswer,
  check: (a: Webproxy, b: Webproxy, origin: DecidingOrigin) => Promise<void>,
  method = "GET",
): Promise<void> {
  await using redis = await RedisServer.start();
  await using origin = await DecidingOrigin.start(() => FIRST);
  await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
  const [a, b] = nodes.all as [Webproxy, Webproxy];
  expect((await get(a.http, "/x")).body).toBe("old body");
  await written(a, 1);
  expect(await metadataCount(redis)).toBe(1);
  origin.answer = () => next;
  await Bun.sleep(1_500);
  // What asks is the validation in the background, or a client that wants no stale one.
  await get(a.http, "/x", { method, headers: { "Cache-Control": "max-age=0" } });
  await eventually(20_000, "it has gone from the engine", async () => (await metadataCount(redis)) === 0);
  await check(a, b, origin);
}

describe("what the origin's answer has ended the use of", () => {
  for (const control of ["private", "no-store"]) {
    test(`a 200 with ${control} in place of a stale response: no node gets the old one`, async () => {
      const next = { headers: { "Cache-Control": control }, body: "for one client" };
      await afterAnswer(next, async (a, b) => {
        for (const node of [b, a, b]) expect((await get(node.http, "/x")).body).toBe("for one client");
      });
    });

    test(`a 304 with ${control}: no node uses it any more`, async () => {
      const next = { status: 304, headers: { "Cache-Control": control, ETag: '"old"' } };
      await afterAnswer(next, async (a, b, origin) => {
        origin.answer = () => ({ headers: { "Cache-Control": control }, body: "for one client" });
        for (const node of [b, a, b]) expect((await get(node.http, "/x")).body).toBe("for one client");
      });
    });
  }

  test("a HEAD that says that it is another one by now: other nodes do not get the old one", async () => {
    const next = { headers: { "Cache-Control": "max-age=600", ETag: '"new"' }, body: "a new and longer body" };
    await afterAnswer(
      next,
      // A itself may send its own, which is stale now, while it validates that (stale-while-revalidate).
      async (_, b) => {
        expect((await get(b.http, "/x")).body).toBe("a new and longer body");
      },
      "HEAD",
    );
  });
});
