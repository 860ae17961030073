/**
 * What `webproxy.config.ts` or `webproxy.config.json` may hold, for `webproxy --config FILE`. Every field is the flag of the same
 * name; a flag on the command line wins. Sizes are bytes as a number, or a text such as `"256KiB"`.
 *
 * @example
 * import type { WebproxyConfig } from "webproxy";
 *
 * export default { origin: "https://files.example.org", threads: 4, memory: "1GiB" } satisfies WebproxyConfig;
 */
export interface WebproxyConfig {
  /**
   * An http or https URL, a directory that an embedded origin serves, or `"demo"`; or a list of URLs, of origins that serve the same at the same path.
   * Default `"./public"`.
   */
  origin?: string | string[];
  /** Worker threads in each of the two processes, 1 to 64. Default: the number of cores. */
  threads?: number | string;
  /** Shared memory segments in the pool. Default 64. */
  segments?: number | string;
  /** Bytes of one segment, at least 4 KiB. Default 256 KiB. */
  segmentSize?: number | string;
  /** Port of the GETFILE listener; 0 takes a free one. Default 19121. */
  getfilePort?: number | string;
  /** Which of the two GETFILE wires the listener speaks. Default `"crlf"`. */
  getfileWire?: "crlf" | "pr3";
  /** Port of the HTTP/1.1 listener; 0 takes a free one. Default 8080. */
  httpPort?: number | string;
  /** Port of the admin API; 0 takes a free one. Default 8081. */
  adminPort?: number | string;
  /** Address of the admin API. Default `"127.0.0.1"`. */
  adminHost?: string;
  /** Address of the two client listeners. Default `"127.0.0.1"`. */
  host?: string;
  /** Where stored responses live; `"none"` keeps them in memory only. Default `$XDG_CACHE_HOME/webproxy/CHANNEL`. */
  cacheDir?: string;
  /** Limit of the memory tier; 0 turns it off. Default 256 MiB. */
  memory?: number | string;
  /** Limit of the disk tier; 0 turns it off. Default 10 GiB. */
  disk?: number | string;
  /** Limit of the hot tier of all proxy threads together; 0 turns it off. Default 64 MiB. */
  hot?: number | string;
  /** File with certificates in PEM that an https origin's has to be signed by. Default: the platform's. */
  originCa?: string;
  /** Port of the TLS listener, with `tlsCert`; 0 takes a free one. Default 8443. */
  httpsPort?: number | string;
  /** Files with certificate chains in PEM, one for each host; read again on SIGHUP. Default: no TLS. */
  tlsCert?: string | string[];
  /** Files with their keys, in the same order. */
  tlsKey?: string | string[];
  /** Addresses and networks of proxies in front of this one, whose word about the client is taken. Default: none. */
  trustProxy?: string | string[];
  /** Seconds for the head of an HTTP request. Default 10. */
  headTimeout?: number | string;
  /** Seconds between two requests of an HTTP connection. Default 60. */
  idleTimeout?: number | string;
  /** Least bytes per second of a request's content, over 20 s; 0: any. Default 500. */
  minBodyRate?: number | string;
  /** Client connections of one thread; those beyond get a 503. Default 16,384. */
  maxConnections?: number | string;
  /** Bytes of a request's head, at least 1 KiB. Default 64 KiB. */
  maxHead?: number | string;
  /** Names the IPC objects; two channels never meet. Default `"default"`. */
  channel?: string;
  /** How the log is written. Default `"pretty"`. */
  logFormat?: "pretty" | "json" | "combined";
  /** File that the log goes to; opened anew on SIGUSR1. Default: standard error. */
  logFile?: string;
  /** File that each request is logged to, `"-"` being where the log goes; opened anew on SIGUSR1. Default: nowhere; with `logFormat: "combined"`: `"-"`. */
  accessLog?: string;
  /** Log errors only. Default false. */
  quiet?: boolean;
}
