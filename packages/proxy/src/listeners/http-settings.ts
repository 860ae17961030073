import type { ClientLimits } from "../limits.ts";
import type { ProxySites } from "../proxy-sites.ts";
import type { TrustedPeers } from "../trusted-peers.ts";

/** What all HTTP connections of one listener of a thread share. */
export interface HttpSettings {
  readonly sites: ProxySites;
  /** These two may be others for the next request: the configuration is read again while connections are open. */
  trusted: TrustedPeers;
  limits: ClientLimits;
  /** Wall clock. */
  readonly nowMs: () => number;
  readonly scheme: "http" | "https";
}
