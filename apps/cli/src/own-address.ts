import { networkInterfaces } from "node:os";
import { usageError } from "./command-error.ts";
import type { Options } from "./options.ts";

type Listening = Pick<Options, "host" | "httpPort" | "httpsPort" | "tlsCert">;

/**
 * Refuses an origin that is this proxy itself (RFC 9110 section 7.6): each request would come back as another until all connections are taken.
 * What comes back by another name, or through another proxy, is not seen.
 *
 * @throws {CommandError} Exit code 2.
 */
export function refuseOwnAddress({
  origin = [],
  sites,
  ...listening
}: Pick<Options, "origin" | "sites"> & Listening): void {
  const all = [...origin, ...sites.flatMap((site) => site.origin)];
  const own = all.find((text) => URL.canParse(text) && isOwnAddress(new URL(text), listening, localAddresses()));
  if (own === undefined) return;
  throw usageError(
    `Cannot use ${own} as an origin: it is where this proxy itself listens, so that each request would come back to it; give the origin's own address, or another --http-port`,
  );
}

/** @param local Addresses of this machine. */
export function isOwnAddress(
  { protocol, port, hostname }: URL,
  { host, httpPort, httpsPort, tlsCert }: Listening,
  local: readonly string[],
): boolean {
  const asked = Number(port === "" ? (protocol === "https:" ? 443 : 80) : port);
  if (asked !== httpPort && (tlsCert === undefined || asked !== httpsPort)) return false;
  const address = hostname.replace(/^\[(.*)\]$/, "$1");
  if (host === address) return true;
  const addresses = address === "localhost" ? ["127.0.0.1", "::1"] : [address];
  const isAny = host === "0.0.0.0" || host === "::";
  return addresses.some((one) => one === host || (isAny && (one.startsWith("127.") || local.includes(one))));
}

function localAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
}
