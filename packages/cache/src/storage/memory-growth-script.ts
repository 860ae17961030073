import { MemoryStorage } from "./memory-storage.ts";
import { NO_EVENTS, put } from "./test-support.ts";

/** Stores so many responses of 1,000 bytes, and prints by how many bytes the tier says that it has grown for each, and by how many the process has. */
const COUNT = 100_000;
const storage = new MemoryStorage(512 * 1024 * 1024, NO_EVENTS);

async function fill(prefix: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) put(storage, `${prefix}${index}`, new Uint8Array(1000));
  // The allocator gives back what has been collected by and by.
  for (let times = 0; times < 3; times++) {
    Bun.gc(true);
    await Bun.sleep(500);
  }
}

await fill("/warm/", 100_000);
const before = { counted: storage.usedBytes, rss: process.memoryUsage().rss };
await fill("/a/path/of/usual/length/", COUNT);
const counted = (storage.usedBytes - before.counted) / COUNT;
console.log(JSON.stringify({ counted, grown: (process.memoryUsage().rss - before.rss) / COUNT }));
