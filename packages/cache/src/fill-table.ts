import type { ClientRequest } from "./client-request.ts";
import type { Fate } from "./explain/explain.ts";
import type { Fill } from "./fill.ts";
import type { KeyMatch } from "./key-selector.ts";
import { SmallSet } from "./small-set.ts";

/** How long a key that gave an uncacheable response is not waited for in turn (Varnish's "hit for miss" has two minutes). */
const PASS_MS = 10_000;
/** Keys remembered: beyond it the oldest are forgotten, and cost one collapsed round each. */
const REMEMBERED_MAX = 10_000;

/** The fills that are under way in one shard, and what is known of keys from former ones. */
export class FillTable {
  readonly #byKey = new Map<string, SmallSet<Fill>>();
  readonly #passUntilMs = new Map<string, number>();
  readonly #varyNames = new Map<string, readonly string[]>();
  readonly #fates = new Map<string, Fate>();
  readonly #nowMs: () => number;
  size = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(fill: Fill): void {
    let fills = this.#byKey.get(fill.key);
    if (fills === undefined) {
      fills = new SmallSet();
      this.#byKey.set(fill.key, fills);
    }
    fills.add(fill);
    this.size++;
  }

  remove(fill: Fill): void {
    const fills = this.#byKey.get(fill.key);
    if (fills?.delete(fill) !== true) return;
    this.size--;
    if (fills.size === 0) this.#byKey.delete(fill.key);
  }

  /** A fill whose response `request` may share, but for the one that has already been found unfit. */
  find(request: ClientRequest, without: Fill | undefined): Fill | undefined {
    const fills = this.#byKey.get(request.key);
    if (fills === undefined) return undefined;
    const names = this.#varyNames.get(request.key) ?? request.rule?.headers;
    for (const fill of fills.list()) {
      if (fill === without || !fill.takes(request)) continue;
      // A response is on its way that is known to vary: who would not get it need not wait to hear that.
      if (names === undefined) return fill;
      if (request.varyKey(names) === fill.request.varyKey(names)) return fill;
    }
    return undefined;
  }

  /** Fills that began before a purge: what they bring is neither kept nor given to who comes after it. */
  purge(matches: KeyMatch): void {
    for (const fills of this.#byKey.values()) for (const fill of fills.list()) fill.purged(matches);
  }

  purgeKey(key: string): void {
    for (const fill of this.#byKey.get(key)?.list() ?? []) fill.purged(() => true);
  }

  /** Requests for `key` need not wait for one another for a while: its response can not be shared. */
  rememberPass(key: string): void {
    remember(this.#passUntilMs, key, this.#nowMs() + PASS_MS);
  }

  isPass(key: string): boolean {
    return this.passMs(key) > 0;
  }

  /** For how long {@link isPass} will say so. */
  passMs(key: string): number {
    const untilMs = this.#passUntilMs.get(key);
    if (untilMs === undefined) return 0;
    const ms = Math.ceil(untilMs - this.#nowMs());
    if (ms <= 0) this.#passUntilMs.delete(key);
    return Math.max(0, ms);
  }

  /** What became of the last response for `key`, where it was not stored. */
  rememberFate(key: string, fate: Fate | undefined): void {
    if (fate === undefined) this.#fates.delete(key);
    else remember(this.#fates, key, fate);
  }

  fateOf(key: string): Fate | undefined {
    return this.#fates.get(key);
  }

  /** Responses for `key` depend on these fields of the request. */
  rememberVary(key: string, names: readonly string[]): void {
    if (names.length > 0) remember(this.#varyNames, key, names);
    else this.#varyNames.delete(key);
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= REMEMBERED_MAX) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
