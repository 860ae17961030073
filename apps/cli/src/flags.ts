import type { FlagName } from "./options.ts";

/** What an option is on the command line. */
export interface Flag {
  readonly flags: string;
  /** What `--help` says. */
  readonly help: string;
  readonly isRepeatable?: true;
  /** SIGHUP reads it again. Others take a restart. */
  readonly isLive?: true;
}

/** What stands on the command line for each option, and what `--help` says about it. */
export const FLAGS: Record<FlagName, Flag> = {
  origin: {
    flags: "-s, --origin <URL|DIR>",
    help: 'origin to translate requests to; a directory is served by an embedded origin, "demo" by one with files of its own; given more than once, URLs of origins that serve the same (default ./public)',
    isRepeatable: true,
    isLive: true,
  },
  threads: { flags: "-t, --threads <N>", help: "worker threads in each process (default: the number of cores)" },
  segments: { flags: "-n, --segments <N>", help: "shared memory segments in the pool (default 64)" },
  segmentSize: { flags: "-z, --segment-size <SIZE>", help: "size of one segment, at least 4KiB (default 256KiB)" },
  getfilePort: {
    flags: "-p, --getfile-port <N>",
    help: "port of the GETFILE listener, 0 takes a free one (default 19121)",
  },
  getfileWire: {
    flags: "--getfile-wire <WIRE>",
    help: "crlf, the written protocol, or pr3, its closed library's (default crlf)",
  },
  httpPort: { flags: "--http-port <N>", help: "port of the HTTP/1.1 listener, 0 takes a free one (default 8080)" },
  adminPort: { flags: "--admin-port <N>", help: "port of the admin API, 0 takes a free one (default 8081)" },
  adminHost: { flags: "--admin-host <ADDR>", help: "address of the admin API (default 127.0.0.1)" },
  host: { flags: "--host <ADDR>", help: "address of the two client listeners (default 127.0.0.1)" },
  cacheDir: {
    flags: "-c, --cache-dir <DIR>",
    help: 'where stored responses live, "none": memory only (default $XDG_CACHE_HOME/webproxy/CHANNEL)',
  },
  memory: { flags: "--memory <SIZE>", help: "limit of the memory tier, 0 turns it off (default 256MiB)" },
  disk: { flags: "--disk <SIZE>", help: "limit of the disk tier, 0 turns it off (default 10GiB)" },
  hot: { flags: "--hot <SIZE>", help: "limit of the hot tier, 0 turns it off (default 64MiB)" },
  originCa: {
    flags: "--origin-ca <FILE>",
    help: "certificates in PEM that an https origin's has to be signed by (default: the platform's)",
  },
  originConnections: {
    flags: "--origin-connections <N>",
    help: "connections of one thread to one origin, tunnels not counted (default 1024)",
  },
  originConnectTimeout: {
    flags: "--origin-connect-timeout <SECONDS>",
    help: "time for a connection to an origin, TLS included (default 5)",
  },
  originHeadTimeout: {
    flags: "--origin-head-timeout <SECONDS>",
    help: "time from the end of a request until an origin has sent its response's head (default 60)",
  },
  originIdleTimeout: {
    flags: "--origin-idle-timeout <SECONDS>",
    help: "time between two reads of an origin's content (default 60)",
  },
  httpsPort: {
    flags: "--https-port <N>",
    help: "port of the TLS listener, with --tls-cert; 0 takes a free one (default 8443)",
  },
  tlsCert: {
    flags: "--tls-cert <FILE,...>",
    help: "certificate chains in PEM, one for each host; read again on SIGHUP (default: no TLS)",
    isLive: true,
  },
  tlsKey: { flags: "--tls-key <FILE,...>", help: "their keys, in the same order", isLive: true },
  trustProxy: {
    flags: "--trust-proxy <CIDR,...>",
    help: "addresses and networks of proxies in front, whose X-Forwarded-* and Forwarded are taken (default: nobody's are)",
    isLive: true,
  },
  headTimeout: {
    flags: "--head-timeout <SECONDS>",
    help: "time for the head of an HTTP request (default 10)",
    isLive: true,
  },
  idleTimeout: {
    flags: "--idle-timeout <SECONDS>",
    help: "time between two requests of a connection (default 60)",
    isLive: true,
  },
  minBodyRate: {
    flags: "--min-body-rate <SIZE>",
    help: "least bytes per second of a request's content, over 20 s; 0: any (default 500B)",
    isLive: true,
  },
  maxConnections: {
    flags: "--max-connections <N>",
    help: "client connections of one thread (default 16384)",
    isLive: true,
  },
  maxHead: {
    flags: "--max-head <SIZE>",
    help: "size of a request's head, at least 1KiB (default 64KiB)",
    isLive: true,
  },
  maxFields: {
    flags: "--max-fields <N>",
    help: "field lines in a request's head, 16 to 4096 (default 256)",
    isLive: true,
  },
  maxTarget: {
    flags: "--max-target <SIZE>",
    help: "length of a request's target, at least 256 bytes (default: a quarter of --max-head, 16KiB)",
    isLive: true,
  },
  channel: { flags: "--channel <NAME>", help: 'names the IPC objects; two channels never meet (default "default")' },
  shared: {
    flags: "--shared <URL>",
    help: "Redis or Valkey that nodes share what they store through: redis://[USER:PASSWORD@]HOST:PORT[,HOST:PORT], rediss:// for TLS; alone, a cluster, or Sentinels (default: none)",
  },
  deployment: {
    flags: "--deployment <NAME>",
    help: 'nodes of one name share; those of two names never meet (default "webproxy")',
  },
  node: {
    flags: "--node <NAME>",
    help: "this node's name, unlike any other's of its deployment (default HOSTNAME/CHANNEL)",
  },
  sharedBudget: {
    flags: "--shared-budget <MS>",
    help: "time for a look-up in the shared tier before the origin is asked instead (default 50)",
  },
  logFormat: { flags: "--log-format <FORMAT>", help: "pretty, json or combined (default pretty)" },
  logFile: {
    flags: "--log-file <FILE>",
    help: "where the log goes; opened anew on SIGUSR1 (default: standard error)",
  },
  accessLog: {
    flags: "--access-log <FILE>",
    help: "where each request is logged, - being where the log goes; opened anew on SIGUSR1 (default: nowhere; with --log-format combined: -)",
  },
  otlp: {
    flags: "--otlp <URL>",
    help: "OpenTelemetry collector that traces are sent to, by OTLP over HTTP: http://127.0.0.1:4318 (default: nothing is traced)",
  },
  traceRatio: {
    flags: "--trace-ratio <PART>",
    help: "part of the requests without a traceparent for which a trace begins, 0 to 1 (default 0.01)",
  },
  quiet: { flags: "--quiet", help: "log errors only" },
  takeover: {
    flags: "--takeover",
    help: "take the client ports over from a webproxy on another channel: listen beside it, then ask it to end, which finishes what it has begun",
  },
  user: {
    flags: "--user <NAME>",
    help: "user to run as, by name or number, when started as root: from before anything is made or opened",
  },
};

/** `--segment-size` for `segmentSize`. */
export function longFlag(name: FlagName): string {
  return /--[a-z-]+/.exec(FLAGS[name].flags)?.[0] ?? name;
}

export function flagNames(): FlagName[] {
  return Object.keys(FLAGS).filter(isFlagName);
}

export function isFlagName(name: string): name is FlagName {
  return Object.hasOwn(FLAGS, name);
}
