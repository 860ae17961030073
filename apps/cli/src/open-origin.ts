import { parseOrigin } from "./origin.ts";

/** The origin as both processes know it, by URL, and what has to be ended with it. */
export interface OpenOrigin {
  readonly url: URL;
  /** Says what there is to try, where there is something. */
  readonly announce?: (addresses: { http: string; getfile: string }, print: (line: string) => void) => void;
  stop(): Promise<void>;
}

/**
 * Makes what `--origin` names reachable by URL: a directory is served by this process from now on.
 *
 * @throws {CommandError} As `parseOrigin`, `startEmbeddedOrigin` and `makeDemoFiles`.
 */
export async function openOrigin(text: string): Promise<OpenOrigin> {
  const choice = parseOrigin(text);
  if (choice.kind === "url") return { url: choice.url, stop: async () => {} };
  const { startEmbeddedOrigin } = await import("./embedded-origin/server.ts");
  if (choice.kind === "directory") return startEmbeddedOrigin(choice.path);
  const { announceDemo, makeDemoFiles } = await import("./demo.ts");
  const { url, stop } = await startEmbeddedOrigin(makeDemoFiles());
  return { url, stop, announce: announceDemo };
}
