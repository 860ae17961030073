import { realpathSync, statSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { cannotRun, errorCode } from "../command-error.ts";
import { loopbackAddressOf } from "./address.ts";
import { embeddedOriginApp } from "./app.ts";
import { listenHttp } from "./http-listener.ts";

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
 * @throws {CommandError} Exit code 1: no directory, one that may not be read, or no port to be had.
 */
export async function startEmbeddedOrigin(directory: string): Promise<EmbeddedOrigin> {
  const root = readableDirectory(directory);
  const { fetch } = embeddedOriginApp(root);
  let refusal: unknown;
  for (const { hostname, port } of addressesToTry(root)) {
    try {
      const server = await listenHttp({ hostname, port, fetch: (request) => fetch(request) });
      return { url: urlOf(server), directory: root, stop: () => stop(server) };
    } catch (error) {
      refusal = error;
    }
  }
  throw cannotRun(
    `Cannot serve ${root} on a loopback address: ${errorCode(refusal)}; serve it with another HTTP server and give its URL with --origin`,
    refusal,
  );
}

function urlOf(server: Server): URL {
  const { address, port } = server.address() as AddressInfo;
  return new URL(`http://${address}:${port}/`);
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
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
