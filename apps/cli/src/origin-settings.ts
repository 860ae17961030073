import { limits } from "@proj/ipc";
import type { ProxyOptions } from "@proj/proxy";
import type { Credentials } from "./certificates.ts";
import { originRoom } from "./connection-room.ts";
import type { Options } from "./options.ts";

/** How a thread asks origins, by the command line. */
export function originSettings(
  options: Options,
  { originCa }: Credentials,
): NonNullable<ProxyOptions["originSettings"]> {
  return {
    limits: { connections: originRoom(options, limits().openFiles.soft) },
    timeouts: {
      connectMs: options.originConnectTimeout * 1000,
      headMs: options.originHeadTimeout * 1000,
      idleMs: options.originIdleTimeout * 1000,
    },
    ...(originCa !== undefined && { tls: { ca: originCa } }),
  };
}
