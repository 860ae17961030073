import type { OriginSettings } from "@proj/origin";
import type { GetfileWire, SiteSettings } from "@proj/protocol";
import type { ClientLimits } from "./limits.ts";
import type { ThreadSockets } from "./listeners/thread-listeners.ts";
import type { TlsPair } from "./listeners/tls-pair.ts";

/** What the main thread tells a thread of the proxy. */
export interface ProxyThreadOptions {
  readonly channel: string;
  readonly thread: number;
  /** The number of this life of the proxy: the cache drops what another life asked. */
  readonly life: number;
  /** Of each thread, this one among them: it is accepted on through descriptors of the accepting thread's own. */
  readonly sockets: readonly ThreadSockets[];
  readonly getfileWire: GetfileWire;
  /** The thread's part of the hot tier, in bytes; 0 turns it off. */
  readonly hotBytes: number;
  readonly sites: readonly SiteSettings[];
  readonly originSettings: OriginSettings;
  readonly trustProxy: readonly string[];
  readonly limits: ClientLimits;
  /** `traceRatio` of `ProxyOptions`. */
  readonly traceRatio: number | undefined;
  /** For TLS; none without. */
  readonly tlsPairs: readonly TlsPair[];
}

/** What may be another while the thread runs. */
export interface ProxyThreadSettings {
  readonly sites: readonly SiteSettings[];
  readonly trustProxy: readonly string[];
  readonly limits: ClientLimits;
}

/** What the main thread tells a thread that runs. */
export type ProxyOrder =
  /** From now on new TLS connections get these certificates. */
  | { readonly about: "certificates"; readonly pairs: readonly TlsPair[] }
  /** From now on requests, and connections, are treated by these. */
  | { readonly about: "settings"; readonly settings: ProxyThreadSettings }
  /** No more clients are accepted, before what is open is finished. */
  | { readonly about: "no-more-clients" };
