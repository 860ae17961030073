import type { RuleSettings } from "./rule.ts";

/** One site as the configuration has it, in plain values: they travel to every process and thread. */
export interface SiteSettings {
  /** Which configuration of this site this is: see {@link siteId}. */
  readonly id: number;
  /** Empty for the one that everything belongs to which belongs to no other. */
  readonly name: string;
  /** `example.org`, `*.example.org` for what is below it, `example.org:8443` for one port; none: whatever host is asked for. */
  readonly hosts: readonly string[];
  /** What the paths of this site begin with, without a slash at the end: `""` for all, `/blog` for it and all below. */
  readonly path: string;
  /** Whether `path` is taken off before a target goes to the origin. */
  readonly stripPath: boolean;
  /** URLs of the origins. The first names what is stored. */
  readonly origins: readonly string[];
  readonly rules: readonly RuleSettings[];
}

/**
 * A number for what a site's requests mean: what they are fetched from, and what they are stored under. Two processes that name the same number mean
 * the same, also while one of them has read a new configuration and the other has not.
 *
 * @param settings Origins as they are configured, before directories have become URLs.
 */
export function siteId({ name, path, stripPath, origins, rules }: Omit<SiteSettings, "id" | "hosts">): number {
  const rulesText = rules.map(
    ({ paths, bypass, ttlSeconds, staleWhileRevalidateSeconds, staleIfErrorSeconds, query, headers }) => [
      paths,
      bypass === true,
      [ttlSeconds, staleWhileRevalidateSeconds, staleIfErrorSeconds].map((seconds) => seconds ?? null),
      query === undefined ? null : [query.kind, query.names, query.forward],
      headers ?? [],
    ],
  );
  return Bun.hash.xxHash32(JSON.stringify([name, path, stripPath, origins, rulesText]));
}

/** The site that everything belongs to, with nothing decided about it, for these origins. */
export function defaultSite(origins: readonly string[]): SiteSettings {
  const settings = { name: "", hosts: [], path: "", stripPath: false, origins, rules: [] };
  return { id: siteId(settings), ...settings };
}

/** Scheme, host and port of each origin of these sites, once. */
export function originNames(sites: readonly SiteSettings[]): string[] {
  return [...new Set(sites.flatMap(({ origins }) => origins.map((url) => new URL(url).origin)))];
}
