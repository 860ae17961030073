import { patternMatch } from "@proj/protocol";

/** Which stored responses a purge concerns. Targets are in origin-form, as they are forwarded. */
export type PurgeSelector =
  | { readonly by: "url"; readonly target: string }
  | { readonly by: "prefix"; readonly prefix: string }
  /** `*` stands for any run of characters, also none; everything else for itself. Matched against the whole target. */
  | { readonly by: "pattern"; readonly pattern: string }
  /** Surrogate-Key, Cache-Tag, or group (RFC 9875). */
  | { readonly by: "tag"; readonly tag: string }
  | { readonly by: "all" };

/** An operator's invalidation. */
export interface Purge {
  readonly selector: PurgeSelector;
  /** What is stored stays, stale: it is validated at its next use, or sent when the origin is gone. */
  readonly soft: boolean;
  /** Only says how many there are. */
  readonly dryRun: boolean;
}

/** What a purge found. */
export interface PurgeCount {
  responses: number;
  bodyBytes: number;
}

/** The selector for targets as they are forwarded, from one for those that clients ask for. */
export function withPrefix(selector: PurgeSelector, prefix: string): PurgeSelector {
  switch (selector.by) {
    case "url":
      return { ...selector, target: prefix + selector.target };
    case "prefix":
      return { ...selector, prefix: prefix + selector.prefix };
    case "pattern":
      // One that begins with a star means any beginning of what clients ask for.
      return { ...selector, pattern: prefix + selector.pattern };
    default:
      return selector;
  }
}

/** Whether a purge concerns a response; `tags` undefined: they are not known yet, so that it may. */
export type PurgeMatch = (target: string, tags: readonly string[] | undefined) => boolean;

/** The one test that a selector stands for. */
export function purgeMatch(selector: PurgeSelector): PurgeMatch {
  switch (selector.by) {
    case "url":
      return (target) => target === selector.target;
    case "prefix":
      return (target) => target.startsWith(selector.prefix);
    case "pattern":
      return patternMatch(selector.pattern);
    case "tag":
      return (_, tags) => tags === undefined || tags.includes(selector.tag);
    case "all":
      return () => true;
  }
}
