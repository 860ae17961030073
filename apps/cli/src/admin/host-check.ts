import { isIP } from "node:net";

/**
 * Whether a request's Host names this admin API, so that a foreign page whose name resolves to 127.0.0.1 (DNS rebinding) is not
 * answered. Names of the loopback interface and the host that was configured do; when that is every address (`0.0.0.0`, `::`),
 * every IP address does, since rebinding needs a name.
 */
export function isAdminHost(field: string | null, configuredHost: string): boolean {
  const host = hostOf(field ?? "");
  if (host === undefined) return false;
  if (host === "localhost" || host === configuredHost.toLowerCase() || isLoopback(host)) return true;
  return (configuredHost === "0.0.0.0" || configuredHost === "::") && isIP(host) !== 0;
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** The host of `host[:port]`, in lower case and without brackets; undefined when it is none. */
function hostOf(field: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{0,5})?$/i.exec(field);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}
