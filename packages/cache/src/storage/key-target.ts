/** Path and query of a key, of a URL, or of what is that already. A key may begin with a site's name. */
export function targetOf(key: string): string {
  const before = /^(?:[^|/?#]*\|)?[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(key)?.[0] ?? "";
  const target = key.slice(before.length);
  return target.startsWith("/") ? target : `/${target}`;
}
