/**
 * What the processes of the data path tell mimalloc, Bun's allocator, and Bun's collector.
 *
 * As Bun sets it, memory goes back to the kernel 100 ms after it was freed, and whenever a thread's event loop rests the free pages inside of blocks
 * still in use go as well. A thread that serves requests frees and takes the same pages thousands of times a second: each time an madvise(2), an
 * interrupt of every other core that runs the process, and a page fault. docs/performance.md ("The allocator") has what it took.
 */
const SETTINGS = {
  // Pages in blocks that are in use stay.
  MIMALLOC_PURGE_HOLES: "0",
  // Whole blocks go back after two seconds without use (ms).
  MIMALLOC_PURGE_DELAY: "2000",
  // So no thread's heap is worth a look more often: Bun hands it to the allocator's helper thread whenever its loop rests, which wakes ten times a second for that by default.
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "2000",
  // Beside the engine's own collections, which go by what is allocated, Bun begins one each second, in each thread, until thirty have found little to do. Every ten seconds is enough for that, too.
  BUN_GC_TIMER_INTERVAL: "10000",
} as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** `environment` with the allocator's settings for a process of the data path. What somebody has set there already is kept. */
export function withAllocatorSettings(environment: Environment): Record<string, string | undefined> {
  return { ...SETTINGS, ...environment };
}

/**
 * Becomes the same program again with the allocator's settings (execve(2): the same process id, command line and descriptors), since the allocator
 * reads them once, as a process begins. Returns where they are set. To be called before anything is made that would have to be given back, and before signals are listened for:
 * one that comes in between would be lost.
 *
 * @throws {Error} The system refused; nothing has changed.
 */
export function adoptAllocatorSettings(): void {
  if (Object.keys(SETTINGS).every((name) => name in process.env)) return;
  const environment = withAllocatorSettings(process.env) as NodeJS.ProcessEnv;
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], environment);
}
