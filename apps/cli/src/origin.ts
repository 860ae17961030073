import { usageError } from "./command-error.ts";

/** What `--origin` names. */
export type OriginChoice = { kind: "url"; url: URL } | { kind: "directory"; path: string } | { kind: "demo" };

/**
 * What the text of `--origin` means: `demo`, an http or https URL, and everything else a directory.
 *
 * @throws {CommandError} Exit code 2: a URL of another scheme, or with what requests can not be translated to.
 */
export function parseOrigin(text: string): OriginChoice {
  if (text === "demo") return { kind: "demo" };
  if (!text.includes("://")) return { kind: "directory", path: text };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const fault = url === undefined ? "it is no URL" : faultOf(url);
  if (url === undefined || fault !== undefined) {
    throw usageError(
      `Cannot use ${JSON.stringify(text)} for --origin: ${fault}; give one such as https://files.example.org or http://127.0.0.1:3000/prefix, or a directory`,
    );
  }
  return { kind: "url", url };
}

function faultOf(url: URL): string | undefined {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    return `its scheme is ${url.protocol.slice(0, -1)}, not http or https`;
  if (url.username !== "" || url.password !== "")
    return "it holds a user name or a password, which would end in caches and logs";
  if (url.search !== "" || url.hash !== "") return "it holds a query or a fragment, which no path can be joined to";
  return undefined;
}
