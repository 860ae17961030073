/** What stood before the target of the last key: most keys of a shard begin with it. */
let lastPrefix = "://";

/** Path and query of a key, of a URL, or of what is that already. A key may begin with a site's name. */
export function targetOf(key: string): string {
  if (key.startsWith(lastPrefix) && key[lastPrefix.length] === "/") return key.slice(lastPrefix.length);
  const before = /^(?:[^|/?#]*\|)?[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(key)?.[0] ?? "";
  if (before !== "") lastPrefix = before;
  const target = key.slice(before.length);
  return target.startsWith("/") ? target : `/${target}`;
}
