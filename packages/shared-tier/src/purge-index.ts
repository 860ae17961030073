import { digestOf } from "./keys.ts";

/** What a purge is about, by the keys of what is stored: the same as the cache's own, so that the log can carry it. */
export type LoggedSelector =
  | { readonly by: "key"; readonly key: string; readonly target: string }
  | { readonly by: "prefix"; readonly prefix: string }
  | { readonly by: "pattern"; readonly before: string; readonly path: string; readonly pattern: string }
  | { readonly by: "tag"; readonly tag: string; readonly before: string }
  | { readonly by: "all" };

/** Whether a selector names what has this key and these tags. */
export type SelectorTest = (key: string, tags: readonly string[]) => boolean;

/** Prefixes and patterns are looked at one by one, so there are fewer of them. */
const GENERAL_MAX = 512;
const NAMED_MAX = 65_536;

/**
 * The purges that may concern what lies in the engine, by their sequence numbers: whether a response was purged is a look at its key, at each of its
 * tags, and at a few prefixes and patterns. It holds so many, and what it had to forget counts as a purge of all. Keys and tags are kept as digests:
 * clients choose how long a key is, and unsafe requests of theirs come here too. Two of one digest would be purged together.
 */
export class PurgeIndex {
  readonly #byKey = new Map<string, number>();
  readonly #byTag = new Map<string, number>();
  readonly #general: { readonly matches: SelectorTest; readonly sequence: number }[] = [];
  #all = -1;

  /** @param matches The test that the selector stands for. */
  add(selector: LoggedSelector, matches: SelectorTest, sequence: number): void {
    if (selector.by === "key") return this.#name(this.#byKey, selector.key, sequence);
    if (selector.by === "tag" && selector.before === "") return this.#name(this.#byTag, selector.tag, sequence);
    if (selector.by === "all") return this.purgeAll(sequence);
    this.#general.push({ matches, sequence });
    if (this.#general.length > GENERAL_MAX) this.purgeAll(this.#general.shift()!.sequence);
  }

  /** Everything that was filled after an earlier one than `sequence` counts as purged. */
  purgeAll(sequence: number): void {
    this.#all = Math.max(this.#all, sequence);
  }

  /** Whether a purge has been that a response which was filled after `filledAfter` does not know of. */
  concerns(key: string, tags: readonly string[], filledAfter: number): boolean {
    if (this.#all > filledAfter) return true;
    if (this.#byKey.size > 0 && (this.#byKey.get(digestOf(key)) ?? -1) > filledAfter) return true;
    if (this.#byTag.size > 0 && tags.some((tag) => (this.#byTag.get(digestOf(tag)) ?? -1) > filledAfter)) return true;
    return this.#general.some(({ matches, sequence }) => sequence > filledAfter && matches(key, tags));
  }

  #name(map: Map<string, number>, name: string, sequence: number): void {
    const digest = digestOf(name);
    const before = map.get(digest) ?? -1;
    map.delete(digest);
    map.set(digest, Math.max(before, sequence));
    if (map.size <= NAMED_MAX) return;
    const [oldest] = map;
    if (oldest === undefined) return;
    map.delete(oldest[0]);
    this.purgeAll(oldest[1]);
  }
}
