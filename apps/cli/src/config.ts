/**
 * The configuration of a `webproxy.config.ts`, checked as it is written; `webproxy config check` checks what types can not say.
 *
 * @example
 * import { defineConfig } from "webproxy";
 *
 * export default defineConfig({
 *   origin: "https://files.example.org",
 *   rules: [{ path: "/assets/*", ttl: "1d" }],
 *   sites: [{ name: "blog", hosts: "blog.example.org", origin: ["http://10.0.0.1:3000", "http://10.0.0.2:3000"] }],
 * });
 */
export function defineConfig(config: WebproxyConfig): WebproxyConfig {
  return config;
}

/**
 * What `webproxy.config.ts` or `webproxy.config.json` may hold, for `webproxy --config FILE`. Every field but `rules` and `sites` is the flag of
 * the same name, and a variable of the environment (`WEBPROXY_SEGMENT_SIZE`); a flag wins, then the environment. Sizes are bytes as a
 * number, or a text such as `"256KiB"`.
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
  /** Connections of one thread to one origin, tunnels not counted; a request that finds none within 10 seconds gets a 503. Default 1,024. */
  originConnections?: number | string;
  /** Seconds for a connection to an origin, TLS included. Default 5. */
  originConnectTimeout?: number | string;
  /** Seconds from the end of a request until an origin has sent the head of its response. Default 60. */
  originHeadTimeout?: number | string;
  /** Seconds between two reads of an origin's content. Default 60. */
  originIdleTimeout?: number | string;
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
  /** Field lines in a request's head, 16 to 4,096. Default 256. */
  maxFields?: number | string;
  /** Bytes of a request's target, at least 256. Default a quarter of `maxHead`: 16 KiB. */
  maxTarget?: number | string;
  /** Names the IPC objects; two channels never meet. Default `"default"`. */
  channel?: string;
  /**
   * The Redis or Valkey that nodes share what they store through: `"redis://[user:password@]host:port[,host:port]"`, `rediss:` for TLS; alone, a cluster, or
   * Sentinels. Default: `WEBPROXY_SHARED` of the environment; none.
   */
  shared?: string;
  /** Nodes of one name and one origin share. Default `"webproxy"`. */
  deployment?: string;
  /** This node's name, unlike any other's of its deployment. Default `HOSTNAME/CHANNEL`. */
  node?: string;
  /** Milliseconds for a look-up in the shared tier before the origin is asked instead. Default 50. */
  sharedBudget?: number | string;
  /** How the log is written. Default `"pretty"`. */
  logFormat?: "pretty" | "json" | "combined";
  /** File that the log goes to; opened anew on SIGUSR1. Default: standard error. */
  logFile?: string;
  /** File that each request is logged to, `"-"` being where the log goes; opened anew on SIGUSR1. Default: nowhere; with `logFormat: "combined"`: `"-"`. */
  accessLog?: string;
  /** URL of an OpenTelemetry collector that traces are sent to, by OTLP over HTTP. Default: nothing is traced. */
  otlp?: string;
  /** Part of the requests without a `traceparent` for which a trace begins, from 0 to 1. Default 0.01. */
  traceRatio?: number | string;
  /** Log errors only. Default false. */
  quiet?: boolean;
  /** Take the client ports over from a webproxy on another channel, which finishes what it has begun. Default false. */
  takeover?: boolean;
  /** User to run as, by name or number, when started as root. Default: who starts it. */
  user?: string;
  /** What holds for paths of what belongs to no site, that is: of `origin`. The first whose path fits. */
  rules?: RuleConfig[];
  /** Hosts and paths that have origins of their own. Where there are any, `origin` may be left out: then what belongs to none is refused (421). */
  sites?: SiteConfig[];
}

/** Hosts, or paths, with origins of their own. */
export interface SiteConfig {
  /** In the keys of what is stored, and for people: 1 to 63 letters, digits, - and _. */
  name: string;
  /**
   * `"example.org"`, `"*.example.org"` for all below it, `"example.org:8443"` for one port. Default: every host. GETFILE names no host: it reaches sites
   * for every host only.
   */
  hosts?: string | string[];
  /** What its paths begin with, `"/blog"` being itself and all below. Of several sites of a host the longest that fits. Default `"/"`. */
  path?: string;
  /** Take `path` off before the origin is asked. Default false. */
  stripPath?: boolean;
  /** As the option `origin`. */
  origin: string | string[];
  /** What holds for its paths. The first whose path fits. */
  rules?: RuleConfig[];
}

/** What holds for some paths of a site. */
export interface RuleConfig {
  /** As clients ask for it, without query; `*` is any run of characters: `"/api/*"`, `"*.css"`. */
  path: string | string[];
  /** Nothing is stored, and nothing stored answers. Default false. */
  bypass?: boolean;
  /**
   * For how long a good response (not an error) is fresh from its arrival on, whatever the origin says: seconds, or a text such as `"90s"`, `"10m"`, `"2h"`, `"7d"`.
   * `no-store`, `private`, `no-cache` and the like of the origin's stay in force.
   */
  ttl?: number | string;
  /** For how long it may be sent stale while it is validated, in place of what the origin says. */
  staleWhileRevalidate?: number | string;
  /** For how long it may be sent stale when the origin fails, in place of what the origin says. */
  staleIfError?: number | string;
  /** What tells responses apart, beside site and path. */
  key?: KeyConfig;
}

/** Which parts of a request are in the key of its response. */
export interface KeyConfig {
  /** The parameters of the query that count, or all but some; a name may end with `*`. Default: all. */
  query?: { only: string[] } | { ignore: string[] };
  /**
   * With `query`: what the origin gets. `"counted"`: the parameters that count. `"all"`: what the client sent; then what does not count must change nothing
   * in the response, or who sends it first decides what all others get.
   */
  forward?: "counted" | "all";
  /** Request headers that count, as if the origin named them in Vary. */
  headers?: string[];
}
