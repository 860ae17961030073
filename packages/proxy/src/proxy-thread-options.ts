import type { GetfileWire } from "@proj/protocol";
import type { ClientLimits } from "./limits.ts";
import type { TlsPair } from "./listeners/tls.ts";

/** What the main thread tells a thread of the proxy. */
export interface ProxyThreadOptions {
  readonly channel: string;
  readonly thread: number;
  /** The number of this life of the proxy: the cache drops what another life asked. */
  readonly life: number;
  readonly host: string;
  readonly httpPort: number;
  readonly getfilePort: number;
  readonly getfileWire: GetfileWire;
  /** The thread's part of the hot tier, in bytes; 0 turns it off. */
  readonly hotBytes: number;
  /** Path of the origin's URL without a closing slash: every target is joined to it. */
  readonly prefix: string;
  /** URLs of the origin and of those that stand for it, for what does not pass the cache. */
  readonly origins: readonly string[];
  /** `ca`: certificates in PEM that the origin's has to be signed by, instead of the platform's. */
  readonly originTls: { readonly ca?: string };
  readonly trustProxy: readonly string[];
  readonly limits: ClientLimits;
  /** Where to listen for TLS, and with what; undefined: nowhere. */
  readonly tls: { readonly port: number; readonly pairs: readonly TlsPair[] } | undefined;
}

/** From now on new TLS connections get these certificates. */
export interface UseCertificates {
  readonly pairs: readonly TlsPair[];
}

export interface ListeningPorts {
  readonly http: number;
  readonly getfile: number;
  /** Undefined without TLS. */
  readonly https: number | undefined;
}
