// The channel's own limit (@proj/protocol). Written out since the protocol's code should not load for --help; a test compares them.
export const ORIGINS_MAX = 16;

/** What `--origin` names. Several URLs are origins that stand for each other. */
export type OriginChoice =
  | { kind: "urls"; urls: readonly [URL, ...URL[]] }
  | { kind: "directory"; path: string }
  | { kind: "demo" };

/** What the texts of `--origin` mean, once {@link originFault} has found nothing: `demo`, http or https URLs, and everything else a directory. */
export function parseOrigins(texts: readonly string[]): OriginChoice {
  const [first = "", ...others] = texts;
  if (others.length === 0 && first === "demo") return { kind: "demo" };
  if (others.length === 0 && !first.includes("://")) return { kind: "directory", path: first };
  return { kind: "urls", urls: [new URL(first), ...others.map((text) => new URL(text))] };
}

/** Why these can not be origins, and what to give; undefined: they can. */
export function originFault(texts: readonly string[]): string | undefined {
  const isUrl = (text: string) => text.includes("://");
  if (texts.length === 1 && !isUrl(texts[0]!)) return undefined;
  const noUrl = texts.find((text) => !isUrl(text));
  if (noUrl !== undefined)
    return `${JSON.stringify(noUrl)} beside others: it is no URL; give one origin, or several as URLs`;
  for (const text of texts) {
    const fault = URL.canParse(text) ? urlFault(new URL(text)) : "it is no URL";
    if (fault !== undefined)
      return `${texts.length > 1 ? `${text}: ` : ""}${fault}; give one such as https://files.example.org or http://127.0.0.1:3000/prefix, or a directory`;
  }
  return replicasFault(texts.map((text) => new URL(text)));
}

function urlFault(url: URL): string | undefined {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    return `its scheme is ${url.protocol.slice(0, -1)}, not http or https`;
  if (url.username !== "" || url.password !== "")
    return "it holds a user name or a password, which would end in caches and logs";
  if (url.search !== "" || url.hash !== "") return "it holds a query or a fragment, which no path can be joined to";
  return undefined;
}

/** Each request goes to one of them, whichever: so each has to know it by the same path. */
function replicasFault(urls: readonly URL[]): string | undefined {
  if (urls.length > ORIGINS_MAX) return `these are ${urls.length}, and ${ORIGINS_MAX} are the most`;
  const paths = new Set(urls.map(({ pathname }) => pathname.replace(/\/$/, "")));
  if (paths.size > 1) return "several origins serve the same, so that their paths have to be the same too";
  const names = new Set(urls.map(({ origin }) => origin));
  return names.size < urls.length ? "one of them stands there twice" : undefined;
}
