import { isBelow, patternMatch, type Site, type SiteTable } from "@proj/protocol/process";
import type { PurgeSelector } from "./purge.ts";

/** What of a store a purge concerns, in terms of its keys. */
export type KeySelector =
  /** `target`: what of the key is hashed. */
  | { readonly by: "key"; readonly key: string; readonly target: string }
  | { readonly by: "prefix"; readonly prefix: string }
  /** `pattern` is about what clients ask for: what is in the key behind `before`, with `path` in front. */
  | { readonly by: "pattern"; readonly before: string; readonly path: string; readonly pattern: string }
  /** `before`: only of keys that begin so. */
  | { readonly by: "tag"; readonly tag: string; readonly before: string }
  | { readonly by: "all" };

/** Whether a purge concerns a response; `tags` undefined: they are not known yet, so that it may. */
export type KeyMatch = (key: string, tags: readonly string[] | undefined) => boolean;

/** The one test that a selector stands for. */
export function keyMatch(selector: KeySelector): KeyMatch {
  switch (selector.by) {
    case "key":
      return (key) => key === selector.key;
    case "prefix":
      return (key) => key.startsWith(selector.prefix);
    case "pattern": {
      const { before, path } = selector;
      const matches = patternMatch(selector.pattern);
      return (key) => key.startsWith(before) && matches(path + key.slice(before.length));
    }
    case "tag":
      return (key, tags) => key.startsWith(selector.before) && (tags === undefined || tags.includes(selector.tag));
    case "all":
      return () => true;
  }
}

/** What a purge of what clients ask for concerns: of the sites that its host belongs to, or of all where it names none. */
export function keySelectors(selector: PurgeSelector, table: SiteTable<Site>): KeySelector[] {
  switch (selector.by) {
    case "url":
      return sitesOf(selector.host, selector.target, table).map((site) => {
        const target = site.join(selector.target);
        const keyTarget = site.rulingOn(target).rule?.keyTarget(target) ?? target;
        return { by: "key", key: site.keyPrefix + keyTarget, target: keyTarget };
      });
    case "prefix":
      return candidates(selector.host, table).flatMap((site) => prefixIn(site, selector.prefix));
    case "pattern":
      return candidates(selector.host, table).map((site) => ({
        by: "pattern",
        before: site.keyPrefix + site.originPrefix,
        path: site.settings.stripPath ? site.settings.path : "",
        pattern: selector.pattern,
      }));
    case "tag":
      return [{ by: "tag", tag: selector.tag, before: "" }];
    case "all":
      return [{ by: "all" }];
  }
}

function candidates(host: string | undefined, table: SiteTable<Site>): readonly Site[] {
  return host === undefined ? table.sites : table.ofHost(host);
}

function sitesOf(host: string | undefined, path: string, table: SiteTable<Site>): readonly Site[] {
  if (host === undefined) return table.sites.filter(({ settings }) => isBelow(path, settings.path));
  const site = table.find(host, path);
  return site === undefined ? [] : [site];
}

function prefixIn(site: Site, prefix: string): KeySelector[] {
  const { path } = site.settings;
  if (isBelow(prefix, path) && prefix !== "") return [{ by: "prefix", prefix: site.keyPrefix + site.join(prefix) }];
  return path.startsWith(prefix) ? [{ by: "prefix", prefix: `${site.keyPrefix}/` }] : [];
}
