import { readdirSync } from "node:fs";
import { clean, ExclusiveLock, type IpcObject, list, objectName, SharedMemory } from "@proj/ipc";
import { channelNames } from "@proj/protocol/process";
import { readChannelStats } from "./channel-stats.ts";

/** Every object of ours, of whatever channel, has such a name. */
const PREFIX = "/webproxy.";

/** Objects of ours: of one channel, or of all. */
export function ownObjects(channel?: string): IpcObject[] {
  const prefix = channel === undefined ? PREFIX : channelNames(channel).prefix;
  return withBodiesJudged(list({ prefix }));
}

export function channelOf(object: IpcObject): string {
  return object.name.slice(PREFIX.length).split(".")[0] ?? "";
}

/** Removes the IPC objects of the channel whose makers are dead and which nobody holds: what a killed process left behind. */
export function removeLeftOvers(channel: string): void {
  const { prefix, bodies, lock } = channelNames(channel);
  clean({ prefix });
  const left = namesThatStartWith(bodies);
  if (left.length === 0) return;
  // Bodies on loan are too many for the registry. They are the cache's, and whether there is one, its lock says.
  const held = ExclusiveLock.tryAcquire(objectName(lock("cache")));
  if (!(held instanceof ExclusiveLock)) return;
  try {
    for (const name of left) SharedMemory.unlink(objectName(name), { registered: false });
  } finally {
    held.release();
  }
}

/** The same objects; bodies on loan, which the registry does not know, live or are dead as the cache of their channel is. */
function withBodiesJudged(objects: readonly IpcObject[]): IpcObject[] {
  const lives = new Map<string, boolean>();
  return objects.map((object) => {
    const channel = channelOf(object);
    if (object.state !== "unknown" || !object.name.startsWith(channelNames(channel).bodies)) return object;
    const isAlive = lives.get(channel) ?? hasLivingCache(channel);
    lives.set(channel, isAlive);
    return { ...object, state: isAlive ? "alive" : "dead" };
  });
}

function hasLivingCache(channel: string): boolean {
  const cache = readChannelStats(channel).cache;
  return cache !== null && cache.state !== "dead";
}

function namesThatStartWith(prefix: string): string[] {
  return readdirSync("/dev/shm")
    .map((file) => `/${file}`)
    .filter((name) => name.startsWith(prefix));
}
