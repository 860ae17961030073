import { isIP } from "node:net";
import { availableParallelism } from "node:os";
import * as v from "valibot";
import { usageError } from "./command-error.ts";
import { formatSize, parseSize } from "./size.ts";

// The channel's own limits (@proj/protocol). Written out since the protocol's code should not load for --help; a test compares them.
export const THREADS_MAX = 64;
const CHANNEL = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** A queue message names a segment by 16 bits. */
const SEGMENTS_MAX = 65_535;
const SEGMENT_BYTES_MIN = 4096;
/** One portion is sent with one write: beyond this nothing is gained, and a mapping costs as much of every thread's address space. */
const SEGMENT_BYTES_MAX = 1024 ** 3;
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/** Every option of `start`, `proxy` and `cache`, from text or from typed values, with its default: the only list there is. */
const OptionsSchema = v.strictObject({
  origin: v.optional(oneOrMore(), "./public"),
  threads: v.optional(wholeNumber(1, THREADS_MAX, "threads"), () => Math.min(availableParallelism(), THREADS_MAX)),
  segments: v.optional(wholeNumber(1, SEGMENTS_MAX, "segments"), 64),
  segmentSize: v.optional(size(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX), 256 * 1024),
  getfilePort: v.optional(port(), 19121),
  getfileWire: v.optional(oneOf(["crlf", "pr3"]), "crlf"),
  httpPort: v.optional(port(), 8080),
  adminPort: v.optional(port(), 8081),
  adminHost: v.optional(address(), "127.0.0.1"),
  host: v.optional(address(), "127.0.0.1"),
  cacheDir: v.optional(text()),
  memory: v.optional(size(0, Number.MAX_SAFE_INTEGER), 256 * 1024 ** 2),
  disk: v.optional(size(0, Number.MAX_SAFE_INTEGER), 10 * 1024 ** 3),
  hot: v.optional(size(0, Number.MAX_SAFE_INTEGER), 64 * 1024 ** 2),
  originCa: v.optional(text()),
  httpsPort: v.optional(port(), 8443),
  tlsCert: v.optional(paths()),
  tlsKey: v.optional(paths()),
  trustProxy: v.optional(networks()),
  headTimeout: v.optional(wholeNumber(1, 3600, "seconds"), 10),
  idleTimeout: v.optional(wholeNumber(1, 3600, "seconds"), 60),
  minBodyRate: v.optional(size(0, 1024 ** 3), 500),
  maxConnections: v.optional(wholeNumber(1, 1_000_000, "connections"), 16_384),
  maxHead: v.optional(size(1024, 1024 ** 2), 64 * 1024),
  channel: v.optional(
    v.pipe(
      text(),
      v.regex(CHANNEL, "a channel's name has 1 to 64 letters, digits, - and _, and begins with a letter or a digit"),
    ),
    "default",
  ),
  logFormat: v.optional(oneOf(["pretty", "json", "combined"]), "pretty"),
  logFile: v.optional(text()),
  accessLog: v.optional(text()),
  quiet: v.optional(v.boolean("it is either true or false"), false),
});

/** What a config file may hold: the schema's own view of `WebproxyConfig`. */
export type OptionsInput = v.InferInput<typeof OptionsSchema>;
/** The options of one run, checked and complete. Sizes in bytes. */
export type Options = v.InferOutput<typeof OptionsSchema>;
export type OptionName = keyof Options;
/** Values by option name, as flags or a config file give them. */
export type RawOptions = Partial<Record<OptionName, unknown>>;

/** What stands on the command line for each option, and what `--help` says about it. */
export const FLAGS: Record<OptionName, { flags: string; help: string; isRepeatable?: true }> = {
  origin: {
    flags: "-s, --origin <URL|DIR>",
    help: 'origin to translate requests to; a directory is served by an embedded origin, "demo" by one with files of its own; given more than once, URLs of origins that serve the same (default ./public)',
    isRepeatable: true,
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
  httpsPort: {
    flags: "--https-port <N>",
    help: "port of the TLS listener, with --tls-cert; 0 takes a free one (default 8443)",
  },
  tlsCert: {
    flags: "--tls-cert <FILE,...>",
    help: "certificate chains in PEM, one for each host; read again on SIGHUP (default: no TLS)",
  },
  tlsKey: { flags: "--tls-key <FILE,...>", help: "their keys, in the same order" },
  trustProxy: {
    flags: "--trust-proxy <CIDR,...>",
    help: "addresses and networks of proxies in front, whose X-Forwarded-* and Forwarded are taken (default: nobody's are)",
  },
  headTimeout: { flags: "--head-timeout <SECONDS>", help: "time for the head of an HTTP request (default 10)" },
  idleTimeout: { flags: "--idle-timeout <SECONDS>", help: "time between two requests of a connection (default 60)" },
  minBodyRate: {
    flags: "--min-body-rate <SIZE>",
    help: "least bytes per second of a request's content, over 20 s; 0: any (default 500B)",
  },
  maxConnections: { flags: "--max-connections <N>", help: "client connections of one thread (default 16384)" },
  maxHead: { flags: "--max-head <SIZE>", help: "size of a request's head, at least 1KiB (default 64KiB)" },
  channel: { flags: "--channel <NAME>", help: 'names the IPC objects; two channels never meet (default "default")' },
  logFormat: { flags: "--log-format <FORMAT>", help: "pretty, json or combined (default pretty)" },
  logFile: {
    flags: "--log-file <FILE>",
    help: "where the log goes; opened anew on SIGUSR1 (default: standard error)",
  },
  accessLog: {
    flags: "--access-log <FILE>",
    help: "where each request is logged, - being where the log goes; opened anew on SIGUSR1 (default: nowhere; with --log-format combined: -)",
  },
  quiet: { flags: "--quiet", help: "log errors only" },
};

/** Where a value came from, for the message that refuses it. */
export interface Sources {
  flags: RawOptions;
  file?: { path: string; values: RawOptions };
}

/**
 * The options of one run: flags, then the config file, then the defaults.
 *
 * @throws {CommandError} Exit code 2: a value that is no such value, or a name in the file that is no option.
 */
export function parseOptions({ flags, file }: Sources): Options {
  const given: RawOptions = { ...file?.values, ...flags };
  const parsed = v.safeParse(OptionsSchema, given);
  if (parsed.success) return withPortsApart(parsed.output);
  const issue = parsed.issues[0];
  const name = String(issue.path?.[0]?.key ?? "");
  if (!isOptionName(name)) throw usageError(unknownOption(name, file?.path ?? ""));
  const shown = name in flags ? longFlag(name) : `"${name}" in ${file?.path ?? "the config file"}`;
  throw usageError(`Cannot use ${JSON.stringify(given[name])} for ${shown}: ${issue.message}`);
}

/** Two listeners on one port would share its connections at random (reusePort), so it is refused before anybody listens. */
function withPortsApart(options: Options): Options {
  const { httpPort, getfilePort } = options;
  if (httpPort === 0 || httpPort !== getfilePort) return options;
  throw usageError(
    `Cannot use ${httpPort} for both --http-port and --getfile-port: a connection says only with its first bytes what it speaks; ` +
      "give one of them another port",
  );
}

/** The options as the arguments of a child process, all of them, so that it needs neither the config file nor a default. */
export function asArguments(options: Options): string[] {
  const args: string[] = [];
  for (const name of optionNames()) {
    const value = options[name];
    if (value === true) args.push(longFlag(name));
    else if (Array.isArray(value)) for (const one of value) args.push(longFlag(name), one);
    else if (value !== undefined && value !== false) args.push(longFlag(name), String(value));
  }
  return args;
}

/** `--segment-size` for `segmentSize`. */
export function longFlag(name: OptionName): string {
  return /--[a-z-]+/.exec(FLAGS[name].flags)?.[0] ?? name;
}

export function optionNames(): OptionName[] {
  return Object.keys(FLAGS).filter(isOptionName);
}

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(FLAGS, name);
}

function unknownOption(name: string, path: string): string {
  return `Cannot use "${name}" in ${path}: there is no such option; there are ${optionNames().join(", ")}`;
}

function text() {
  return v.pipe(v.string("it must be a text"), v.nonEmpty("it is empty; leave the option out for its default"));
}

/** A text, or a list of them. */
function oneOrMore() {
  const one = v.pipe(
    text(),
    v.transform((value) => [value]),
  );
  return v.union(
    [one, v.pipe(v.array(text()), v.minLength(1, "it is empty"))],
    "it must be a text, or a list of texts, none of them empty",
  );
}

function oneOf<const Choice extends string>(choices: readonly Choice[]) {
  return v.picklist(choices, `it must be ${choices.join(" or ")}`);
}

function wholeNumber(min: number, max: number, unit: string) {
  const message = `it must be a whole number of ${unit} from ${min} to ${max}`;
  const digits = v.pipe(v.string(), v.regex(/^\d{1,9}$/, message), v.transform(Number));
  return v.pipe(
    v.union([v.number(), digits], message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

function port() {
  const message = "a port is a whole number from 0 to 65535, 0 takes a free one";
  const digits = v.pipe(v.string(), v.regex(/^\d{1,5}$/, message), v.transform(Number));
  return v.pipe(
    v.union([v.number(), digits], message),
    v.integer(message),
    v.minValue(0, message),
    v.maxValue(65_535, message),
  );
}

function size(min: number, max: number) {
  const message =
    "a size is a whole number with B, KiB, MiB or GiB behind it, such as 256KiB; without a unit it counts bytes";
  const written = v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const bytes = parseSize(dataset.value);
      if (bytes !== undefined) return bytes;
      addIssue({ message });
      return NEVER;
    }),
  );
  return v.pipe(
    v.union([v.number(), written], message),
    v.integer(message),
    v.minValue(min, `it must be at least ${formatSize(min)}`),
    v.maxValue(max, `it must be at most ${formatSize(max)}`),
  );
}

/** What is written with commas, or a list of a file's. As text, so that it can be handed on as it is. */
function paths() {
  const message = "it must be names of files with commas between them";
  const list = v.pipe(
    v.array(v.string(message)),
    v.transform((names) => names.join(",")),
  );
  return v.pipe(
    v.union([v.string(), list], message),
    v.check((names) => names.split(",").every((name) => name !== ""), message),
  );
}

/** As {@link paths}. */
function networks() {
  const message =
    "it must be IP addresses or networks such as 192.0.2.7, 10.0.0.0/8 or fd00::/8, with commas between them";
  const list = v.pipe(
    v.array(v.string(message)),
    v.transform((texts) => texts.join(",")),
  );
  return v.pipe(
    v.union([v.string(), list], message),
    v.check((text) => text.split(",").every(isNetwork), message),
  );
}

function isNetwork(text: string): boolean {
  const [host = "", bits, ...more] = text.split("/");
  const family = isIP(host);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

function address() {
  const message = "it must be an IP address or a host name of this machine, such as 127.0.0.1, :: or localhost";
  return v.pipe(
    text(),
    v.check((host) => isIP(host) !== 0 || HOST_NAME.test(host), message),
  );
}
