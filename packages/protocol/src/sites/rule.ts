import { type CountedQuery, countedQuery } from "./counted-query.ts";
import { type PatternMatch, patternMatch } from "./pattern.ts";

/** What an operator has decided about some paths of a site, as plain values: they travel to every process and thread. */
export interface RuleSettings {
  /** Patterns of paths, without query: `*` is any run of characters. */
  readonly paths: readonly string[];
  /** Nothing of these is stored, and nothing stored answers for them. */
  readonly bypass?: boolean;
  /** For how long a good response is fresh from its arrival on, whatever the origin says about that. */
  readonly ttlSeconds?: number;
  /** RFC 5861 sections 3 and 4, in place of what the origin says. */
  readonly staleWhileRevalidateSeconds?: number;
  readonly staleIfErrorSeconds?: number;
  /** Which parameters of the query are part of the key; undefined: all. */
  readonly query?: QuerySettings;
  /** Request fields that are part of the key, in lower case: as if the origin named them in Vary. */
  readonly headers?: readonly string[];
}

export interface QuerySettings {
  /** `only` these count, or all but these (`ignore`); a name may end with `*`. */
  readonly kind: "only" | "ignore";
  readonly names: readonly string[];
  /** What the origin gets: the parameters that count, or all that the client sent. */
  readonly forward: "counted" | "all";
}

/** A rule, ready to be asked. */
export class Rule {
  readonly settings: RuleSettings;
  readonly #matches: readonly PatternMatch[];
  readonly #counted: CountedQuery | undefined;

  constructor(settings: RuleSettings) {
    this.settings = settings;
    this.#matches = settings.paths.map(patternMatch);
    this.#counted = settings.query === undefined ? undefined : countedQuery(settings.query);
  }

  /** @param path As `plainPath` gives it. */
  appliesTo(path: string): boolean {
    for (const matches of this.#matches) if (matches(path)) return true;
    return false;
  }

  /** What stands for a target in the key: itself, or without the parameters that do not count. */
  keyTarget(target: string): string {
    return this.#counted === undefined ? target : this.#counted(target);
  }
}
