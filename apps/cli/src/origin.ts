import { usageError } from "./command-error.ts";

// The channel's own limit (@proj/protocol). Written out since the protocol's code should not load for --help; a test compares them.
export const ORIGINS_MAX = 16;

/** What `--origin` names. Several URLs are origins that stand for each other. */
export type OriginChoice =
  | { kind: "urls"; urls: readonly [URL, ...URL[]] }
  | { kind: "directory"; path: string }
  | { kind: "demo" };

/**
 * What the texts of `--origin` mean: `demo`, http or https URLs, and everything else a directory.
 *
 * @throws {CommandError} Exit code 2: a URL of another scheme, or with what requests can not be translated to; several that can not stand for each
 *   other.
 */
export function parseOrigins(texts: readonly string[]): OriginChoice {
  const [first, ...others] = texts;
  if (first !== undefined && others.length === 0) {
    if (first === "demo") return { kind: "demo" };
    if (!first.includes("://")) return { kind: "directory", path: first };
  }
  const urls: [URL, ...URL[]] = [parseUrl(first ?? ""), ...others.map(parseUrl)];
  checkReplicas(urls);
  return { kind: "urls", urls };
}

/** Each request goes to one of them, whichever: so each has to know it by the same path. */
function checkReplicas(urls: readonly URL[]): void {
  const refusal = (reason: string) => usageError(`Cannot use ${urls.join(" and ")} for --origin: ${reason}`);
  if (urls.length > ORIGINS_MAX) throw refusal(`these are ${urls.length}, and ${ORIGINS_MAX} are the most`);
  const paths = new Set(urls.map(({ pathname }) => pathname.replace(/\/$/, "")));
  if (paths.size > 1) throw refusal("several origins serve the same, so that their paths have to be the same too");
  const names = new Set(urls.map(({ origin }) => origin));
  if (names.size < urls.length) throw refusal("one of them stands there twice");
}

function parseUrl(text: string): URL {
  if (text === "demo" || !text.includes("://")) {
    throw usageError(
      `Cannot use ${JSON.stringify(text)} for --origin beside others: it is no URL; give one origin, or several as URLs`,
    );
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const fault = url === undefined ? "it is no URL" : faultOf(url);
  if (url === undefined || fault !== undefined) {
    throw usageError(
      `Cannot use ${JSON.stringify(text)} for --origin: ${fault}; give one such as https://files.example.org or http://127.0.0.1:3000/prefix, or a directory`,
    );
  }
  return url;
}

function faultOf(url: URL): string | undefined {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    return `its scheme is ${url.protocol.slice(0, -1)}, not http or https`;
  if (url.username !== "" || url.password !== "")
    return "it holds a user name or a password, which would end in caches and logs";
  if (url.search !== "" || url.hash !== "") return "it holds a query or a fragment, which no path can be joined to";
  return undefined;
}
