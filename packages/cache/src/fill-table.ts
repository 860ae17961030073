import type { ClientRequest } from "./client-request.ts";
import type { Fill } from "./fill.ts";

/** How long a key that gave an uncacheable response is not waited for in turn (Varnish's "hit for miss" has two minutes). */
const PASS_MS = 10_000;
/** Keys remembered as passing: beyond it the oldest are forgotten, and cost one collapsed round each. */
const PASSES_MAX = 10_000;

/** The fills that are under way in one shard, and the keys that need none to wait for. */
export class FillTable {
  readonly #byKey = new Map<string, Set<Fill>>();
  readonly #passUntilMs = new Map<string, number>();
  readonly #nowMs: () => number;
  size = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(fill: Fill): void {
    const fills = this.#byKey.get(fill.key);
    if (fills === undefined) this.#byKey.set(fill.key, new Set([fill]));
    else fills.add(fill);
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
    for (const fill of this.#byKey.get(request.key) ?? []) if (fill !== without && fill.takes(request)) return fill;
    return undefined;
  }

  /** Requests for `key` need not wait for one another for a while: its response can not be shared. */
  rememberPass(key: string): void {
    this.#passUntilMs.delete(key);
    this.#passUntilMs.set(key, this.#nowMs() + PASS_MS);
    if (this.#passUntilMs.size <= PASSES_MAX) return;
    const [oldest] = this.#passUntilMs.keys();
    if (oldest !== undefined) this.#passUntilMs.delete(oldest);
  }

  isPass(key: string): boolean {
    const untilMs = this.#passUntilMs.get(key);
    if (untilMs === undefined) return false;
    if (untilMs > this.#nowMs()) return true;
    this.#passUntilMs.delete(key);
    return false;
  }
}
