import { realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { cannotRun, errorCode } from "../command-error.ts";
import { loopbackAddressOf } from "./address.ts";
import { embeddedOriginApp } from "./app.ts";

/** A directory served over HTTP on a loopback address, until it is stopped. */
export interface EmbeddedOrigin {
  readonly url: URL;
  readonly directory: string;
  /** Ends the listener and every connection at once: its only clients are the two processes, which ended before. */
  stop(): Promise<void>;
}

/**
 * Serves `directory` over HTTP on the loopback address that belongs to it.
 *
 * @param options.isShared Whether another process of this user may serve the same directory at the same address: what
 *   `webproxy proxy` and `webproxy cache`, started alone, do, so that both know their origin by one URL.
 * @throws {CommandError} Exit code 1: no directory, one that may not be read, or no port to be had.
 */
export function startEmbeddedOrigin(directory: string, options: { isShared: boolean }): EmbeddedOrigin {
  const root = readableDirectory(directory);
  const app = embeddedOriginApp(root);
  let refusal: unknown;
  for (const { hostname, port } of addressesToTry(root)) {
    try {
      const server = Bun.serve({ hostname, port, reusePort: options.isShared, fetch: app.fetch, development: false });
      return { url: new URL(`http://${hostname}:${server.port}/`), directory: root, stop: () => server.stop(true) };
    } catch (error) {
      refusal = error;
    }
  }
  throw cannotRun(
    `Cannot serve ${root} on a loopback address: ${errorCode(refusal)}; serve it with another HTTP server and give its URL with --origin`,
    refusal,
  );
}

/** The directory's own address first; 127.0.0.1 where the loopback interface has been given no more than that. */
function addressesToTry(root: string): { hostname: string; port: number }[] {
  const { hostname, ports } = loopbackAddressOf(root);
  return [hostname, "127.0.0.1"].flatMap((host) => [...ports, 0].map((port) => ({ hostname: host, port })));
}

function readableDirectory(directory: string): string {
  const shown = resolve(directory);
  try {
    const root = realpathSync(directory);
    if (!statSync(root).isDirectory())
      throw cannotRun(
        `Cannot serve ${shown} as the origin: it is no directory; give a directory or an http:// URL with --origin`,
      );
    return root;
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined) throw error;
    const advice =
      code === "ENOENT"
        ? `make it (mkdir -p ${shown}), give another directory or an http:// URL with --origin, or try --origin demo`
        : "check its mode and owner, or give another with --origin";
    throw cannotRun(`Cannot serve ${shown} as the origin: ${code}; ${advice}`, error);
  }
}
