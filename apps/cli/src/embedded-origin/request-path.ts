/**
 * The path below the served directory that a request's path names, as segments; undefined when it names nothing there.
 *
 * Every segment is decoded once and then has to be a plain file name: not empty (so no `//`), no `.` or `..` however it was
 * encoded, no `/` or NUL inside, and no leading dot: files that begin with one are not for the public. One trailing slash stands
 * for the directory itself and gives a last segment of `""`.
 *
 * @param pathname Starts with `/`, percent-encoded, as in a request target without its query.
 */
export function pathSegments(pathname: string): readonly string[] | undefined {
  const segments: string[] = [];
  const encoded = pathname.split("/").slice(1);
  for (const [index, text] of encoded.entries()) {
    const name = decoded(text);
    const isTrailing = index === encoded.length - 1 && name === "";
    if (name === undefined || (!isTrailing && !isPublicName(name))) return undefined;
    segments.push(name);
  }
  return segments;
}

function isPublicName(name: string): boolean {
  return name !== "" && !name.startsWith(".") && !name.includes("/") && !name.includes("\0");
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // a broken percent-encoding, or octets that are no UTF-8
  }
}
