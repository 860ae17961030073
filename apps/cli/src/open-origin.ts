import { parseOrigins } from "./origin.ts";

/** The origin as both processes know it, by URL, and what has to be ended with it. */
export interface OpenOrigin {
  /** Of the origin, and of those that stand for it. */
  readonly urls: readonly [URL, ...URL[]];
  /** Says what there is to try, where there is something. */
  readonly announce?: (addresses: { http: string; getfile: string }, print: (line: string) => void) => void;
  stop(): Promise<void>;
}

/**
 * Makes what `--origin` names reachable by URL: a directory is served by this process from now on.
 *
 * @throws {CommandError} As `parseOrigins`, `startEmbeddedOrigin` and `makeDemoFiles`.
 */
export async function openOrigin(texts: readonly string[]): Promise<OpenOrigin> {
  const choice = parseOrigins(texts);
  if (choice.kind === "urls") return { urls: choice.urls, stop: async () => {} };
  const { startEmbeddedOrigin } = await import("./embedded-origin/server.ts");
  if (choice.kind === "directory") {
    const { url, stop } = await startEmbeddedOrigin(choice.path);
    return { urls: [url], stop };
  }
  const { announceDemo, makeDemoFiles } = await import("./demo.ts");
  const { url, stop } = await startEmbeddedOrigin(makeDemoFiles());
  return { urls: [url], stop, announce: announceDemo };
}
