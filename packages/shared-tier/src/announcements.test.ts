import { expect, test } from "bun:test";
import { Announcements } from "./announcements.ts";
import { EngineError } from "./engine.ts";

const isJoined = () => true;
const away = () => new EngineError("ERR_ENGINE_AWAY", "Cannot reach it: it is away");

test("Announcements says what could not be said when it is told to, in order, and once", async () => {
  let isAway = true;
  const said: unknown[] = [];
  const announcements = new Announcements(async (entry) => {
    if (isAway) throw away();
    return said.push(entry);
  }, isJoined);
  announcements.purged({ by: "tag", tag: "a", before: "" });
  announcements.purged({ by: "tag", tag: "b", before: "" });
  await Bun.sleep(0);
  expect(said).toEqual([]);
  isAway = false;
  announcements.sendWaiting();
  announcements.sendWaiting();
  await Bun.sleep(0);
  expect(said).toEqual(["a", "b"].map((tag) => ({ selectors: [{ by: "tag", tag, before: "" }], soft: false })));
  announcements.close();
});

test("Announcements tries again by itself where there was no log", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let attempts = 0;
  const announcements = new Announcements(async () => {
    if (++attempts === 1) return null;
    resolve();
    return "1";
  }, isJoined);
  announcements.purged({ by: "all" });
  await promise;
  expect(attempts).toBe(2);
  announcements.close();
});

test("Announcements of more than it keeps are a new beginning of the log", async () => {
  let isAway = true;
  const said: object[] = [];
  const announcements = new Announcements(async (entry) => {
    if (isAway) throw away();
    return said.push(entry);
  }, isJoined);
  for (let index = 0; index < 5_000; index++) announcements.purged({ by: "prefix", prefix: `/${index}` });
  await Bun.sleep(0);
  isAway = false;
  announcements.sendWaiting();
  await Bun.sleep(0);
  expect(said[0]).toEqual({ begin: true });
  expect(said.length).toBe(4_097);
  announcements.close();
});
