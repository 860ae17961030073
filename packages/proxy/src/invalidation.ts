import type { PoolMember } from "@proj/ipc";
import {
  bumpStripe,
  cacheTarget,
  type Invalidation,
  invalidatedGroups,
  invalidatedTargets,
  isBelow,
  isSafeMethod,
  type RequestHead,
  type ResponseHead,
  type Site,
  STRIPES,
  stripeOf,
  targetHash,
} from "@proj/protocol";
import { AbsentTargets } from "./absent-targets.ts";
import { type Ask, type AskOwner, type CacheClient, mayBeWrittenTo, type Outcome } from "./cache-client.ts";

/**
 * What the response to an unsafe request says is no longer good (RFC 9111 section 4.4, RFC 9875 section 3).
 *
 * Location and Content-Location count when they name this origin: by its own name, or by the name that the client called this proxy by, which
 * origins that know their public name use.
 *
 * @param target As it was forwarded.
 */
export function invalidationOf(
  head: RequestHead,
  target: string,
  response: ResponseHead,
  site: Site,
): Invalidation | undefined {
  const targets = namesOthers(response)
    ? namedTargets(head, target, response, site)
    : ownTargets(head, target, response, site);
  if (targets.size === 0) return undefined;
  const keyTargets = site.hasRules
    ? new Set([...targets].map((one) => site.rulingOn(one).rule?.keyTarget(one) ?? one))
    : targets;
  return { site: site.id, targets: [...keyTargets], groups: invalidatedGroups(response.fields) };
}

function namesOthers({ fields }: ResponseHead): boolean {
  return fields.has("location") || fields.has("content-location");
}

/** What {@link namedTargets} finds where the response names nothing else, as most do: the target, by the origin's name and by the public one. */
function ownTargets(
  { method, fields }: RequestHead,
  target: string,
  { status }: ResponseHead,
  site: Site,
): Set<string> {
  const targets = new Set<string>();
  if (isSafeMethod(method) || status < 200 || status > 399 || !target.startsWith("/")) return targets;
  targets.add(target);
  if (fields.has("host") && isBelow(target, site.settings.path)) targets.add(site.join(target));
  return targets;
}

function namedTargets(
  { method, fields }: RequestHead,
  target: string,
  response: ResponseHead,
  site: Site,
): Set<string> {
  const targets = new Set<string>();
  for (const { protocol, host } of site.settings.origins.map((url) => new URL(url))) {
    const own = cacheTarget(protocol === "https:" ? "https" : "http", host, target);
    if (own === undefined) continue;
    for (const { path } of invalidatedTargets(method, own, response)) targets.add(path);
  }
  if (targets.size === 0) return targets;
  const host = fields.get("host");
  for (const publicScheme of ["http", "https"] as const) {
    const known = host === undefined ? undefined : cacheTarget(publicScheme, host, target);
    if (known === undefined) continue;
    for (const { path } of invalidatedTargets(method, known, response)) {
      targets.add(path);
      if (isBelow(path, site.settings.path)) targets.add(site.join(path));
    }
  }
  return targets;
}

/** How long a segment is waited for before it is waited for anew. */
const SEGMENT_TIMEOUT_MS = 1_000;
const RETRY_MS = 20;
/** How long the response to an unsafe request is held back for a cache that is away: its restart takes a fraction of that. */
const CACHE_TIMEOUT_MS = 5_000;

/** Invalidates for one proxy thread: in the cache, and in what all threads of the proxy keep ready. */
export class Invalidator {
  readonly cache: CacheClient;
  readonly pool: PoolMember;
  readonly absent: AbsentTargets;

  constructor(cache: CacheClient, pool: PoolMember) {
    this.cache = cache;
    this.pool = pool;
    this.absent = new AbsentTargets(() => cache.stripes?.arrivals);
  }

  /** Calls `done` when nobody gets any more what was stored: at once, where nothing can be. See {@link InvalidationRound.run}. */
  run(what: Invalidation, done: () => void): void {
    if (this.#holdsNothingOf(what)) done();
    else InvalidationRound.run(this, what, done);
  }

  /** What all proxy threads keep ready of these is no longer used, also while the cache is away. */
  bumpStripes({ targets, groups }: Invalidation): void {
    const versions = this.cache.stripes?.versions;
    if (versions === undefined) return;
    for (const target of targets) bumpStripe(versions, stripeOf(targetHash(target)));
    if (groups.length > 0) for (let stripe = 0; stripe < STRIPES; stripe++) bumpStripe(versions, stripe);
  }

  /** Then no proxy thread keeps anything of it ready either: all they had was made void when the cache was told, and since then nothing has been stored. */
  #holdsNothingOf({ site, targets, groups }: Invalidation): boolean {
    return groups.length === 0 && targets.every((target) => this.absent.has(site, target)) && this.cache.isSurelyAlive;
  }
}

/** Tells every shard that is concerned, and knows when all of them have done it. */
class InvalidationRound implements AskOwner {
  /** A cache that stands still has to do it before anything else once it goes on. */
  readonly canDoWithout = false;
  readonly #to: Invalidator;
  readonly #cache: CacheClient;
  readonly #pool: PoolMember;
  readonly #what: Invalidation;
  /** By target. */
  #arrivals: readonly number[] = [];
  #done: (() => void) | undefined;
  #open = 0;
  #wasLost = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(to: Invalidator, what: Invalidation, done: () => void) {
    this.#to = to;
    this.#cache = to.cache;
    this.#pool = to.pool;
    this.#what = what;
    this.#done = done;
  }

  /**
   * Calls `done` when nobody gets any more what was stored. What the cache has on disk survives it: one that is away is told when it is back, and waited
   * for, though not for ever; then `done` is called before it has been told.
   */
  static run(to: Invalidator, what: Invalidation, done: () => void): void {
    const round = new InvalidationRound(to, what, done);
    const { cache } = to;
    // One that has been away for so long is not waited for anew by each request.
    const awayMs = cache.attached ? 0 : performance.now() - cache.awaySinceMs;
    round.#timer = setTimeout(() => round.#finish(), Math.max(0, CACHE_TIMEOUT_MS - awayMs));
    round.#begin();
  }

  answered(ask: Ask, outcome: Outcome): void {
    if (mayBeWrittenTo(outcome)) this.#pool.replace(ask.segment);
    else this.#pool.giveBack(ask.segment);
    this.#wasLost ||= outcome.kind !== "portion";
    this.#settle();
  }

  noticed(): void {}
  lost(): void {}

  #begin(): void {
    // What all threads of the proxy keep ready is no longer used from now on, whether the cache is there or not.
    this.#to.bumpStripes(this.#what);
    if (!this.#cache.attached) {
      this.#cache.whenAttached(() => this.#begin());
      return;
    }
    this.#wasLost = false;
    this.#arrivals = this.#what.targets.map((target) => this.#to.absent.arrivalsOf(target));
    this.#open = 1;
    for (const [shard, part] of this.#cache.shardsOf(this.#what)) this.#start(shard, part);
    this.#settle();
  }

  #start(shard: number, part: Invalidation): void {
    this.#open++;
    this.#tell(shard, part).catch(() => this.#finish()); // the pool is closed: this thread ends
  }

  async #tell(shard: number, part: Invalidation): Promise<void> {
    for (;;) {
      if (!this.#cache.attached) {
        this.#wasLost = true;
        return this.#settle();
      }
      const segment = this.#pool.tryTake() ?? (await this.#pool.take({ timeoutMs: SEGMENT_TIMEOUT_MS }));
      if (segment === undefined) continue; // it has to be said, however busy the pool is
      if (this.#cache.invalidate(segment, shard, part, this) !== undefined) return;
      this.#pool.giveBack(segment);
      if (!this.#cache.attached) continue;
      this.#tellInHalves(shard, part);
      return this.#settle();
    }
  }

  /** It does not fit into one segment. A single target that does not was never asked for, so that nothing is stored under it. */
  #tellInHalves(shard: number, { site, targets, groups }: Invalidation): void {
    const isSplit = targets.length > 0 && groups.length > 0;
    const members = isSplit ? 2 : Math.max(targets.length, groups.length);
    if (members < 2) return;
    const half = (list: readonly string[]) => Math.ceil(list.length / 2);
    const parts: Invalidation[] = isSplit
      ? [
          { site, targets, groups: [] },
          { site, targets: [], groups },
        ]
      : [
          { site, targets: targets.slice(0, half(targets)), groups: groups.slice(0, half(groups)) },
          { site, targets: targets.slice(half(targets)), groups: groups.slice(half(groups)) },
        ];
    for (const part of parts) this.#start(shard, part);
  }

  #settle(): void {
    if (--this.#open > 0) return;
    if (this.#wasLost) {
      setTimeout(() => this.#begin(), RETRY_MS);
      return;
    }
    // What was taken from the cache before it had done this is not good either.
    this.#to.bumpStripes(this.#what);
    for (const [index, target] of this.#what.targets.entries())
      this.#to.absent.remember(this.#what.site, target, this.#arrivals[index]!);
    this.#finish();
  }

  #finish(): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }
}
