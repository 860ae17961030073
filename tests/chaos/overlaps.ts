import {
  CUT_ORIGIN,
  type Deed,
  type Fault,
  FILL_DISK,
  FILL_SHARED_MEMORY,
  kill,
  limitMemory,
  RELOAD,
  type Span,
  servesAgain,
  stop,
  type Target,
  threadEnds,
  threadHangs,
  truncate,
} from "./faults.ts";

/** A fault that begins before the service has come back from another, or while that lasts. Its effect is that of both, and that it came in time. */
function meanwhile(first: Fault, second: Fault, afterMs: Span = { low: 0, high: 100 }): Fault {
  return {
    name: `${first.name}, and meanwhile ${second.name}`,
    weight: 1,
    ...(first.cutsOrigin === true && { cutsOrigin: true }),
    needsOwnArena: first.needsOwnArena === true || second.needsOwnArena === true,
    lastsMs: { low: 100, high: 1_000 },
    async begin(target) {
      const one = await first.begin(target);
      if (one === undefined) return undefined;
      const deeds = [one];
      let hasEffect = false;
      try {
        hasEffect = await one.hasEffect();
        await Bun.sleep(target.random.between(afterMs.low, afterMs.high));
        hasEffect &&= await isStill(one, target);
        const two = await second.begin(target);
        if (two !== undefined) deeds.push(two);
        hasEffect &&= (await two?.hasEffect()) === true;
      } catch (error) {
        await endAll(deeds);
        throw error;
      }
      return {
        ended: deeds.flatMap(({ ended }) => ended),
        hasEffect: () => hasEffect,
        end: () => endAll(deeds),
      };
    },
  };
}

/** What lasts goes on until it is ended; else it is over when what it has ended is there again. */
async function isStill(deed: Deed, { webproxy }: Target): Promise<boolean> {
  if (deed.end !== undefined) return await deed.hasEffect();
  return (await servesAgain(webproxy, deed.ended)) === undefined;
}

async function endAll(deeds: readonly Deed[]): Promise<void> {
  for (const deed of deeds.toReversed()) await deed.end?.();
}

const STOPPED_PROXY = stop("proxy", { low: 20, high: 200 }, false);
const STOPPED_CACHE = stop("cache", { low: 20, high: 1_500 }, false);

export const OVERLAPS: readonly Fault[] = [
  meanwhile(STOPPED_PROXY, kill("cache")),
  meanwhile(STOPPED_CACHE, kill("proxy")),
  meanwhile(kill("cache"), kill("cache")),
  meanwhile(kill("proxy"), kill("proxy")),
  meanwhile(kill("proxy"), kill("cache")),
  meanwhile(kill("cache"), RELOAD),
  meanwhile(kill("proxy"), RELOAD),
  meanwhile(FILL_SHARED_MEMORY, kill("cache")),
  meanwhile(FILL_SHARED_MEMORY, kill("proxy")),
  meanwhile(FILL_SHARED_MEMORY, threadEnds("proxy")),
  meanwhile(FILL_DISK, kill("cache")),
  meanwhile(CUT_ORIGIN, kill("proxy")),
  meanwhile(CUT_ORIGIN, kill("cache")),
  meanwhile(limitMemory("cache"), kill("proxy")),
  meanwhile(threadHangs("cache"), kill("proxy"), { low: 0, high: 1_500 }),
  meanwhile(threadHangs("proxy"), truncate("a segment", /\.pool\.seg\./)),
];
