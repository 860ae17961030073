import { availableParallelism } from "node:os";
import * as v from "valibot";
import { usageError } from "./command-error.ts";
import { mistakesOf } from "./config-mistakes.ts";
import { environmentValues, misspelledVariable, variableOf } from "./environment.ts";
import { flagNames, isFlagName, longFlag } from "./flags.ts";
import {
  about,
  address,
  httpUrl,
  networks,
  nodeName,
  oneOf,
  part,
  paths,
  port,
  sharedAddress,
  size,
  text,
  wholeNumber,
  yesOrNo,
} from "./option-values.ts";
import { Origins, Rules, Sites } from "./site-config.ts";

// The channel's own limits (@proj/protocol). Written out since the protocol's code should not load for --help; a test compares them.
export const THREADS_MAX = 64;
const CHANNEL = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** A queue message names a segment by 16 bits. */
const SEGMENTS_MAX = 65_535;
const SEGMENT_BYTES_MIN = 4096;
/** One portion is sent with one write: beyond this nothing is gained, and a mapping costs as much of every thread's address space. */
const SEGMENT_BYTES_MAX = 1024 ** 3;

/** Every option of `start`, `proxy` and `cache`, from a flag, the environment or a config file, with its default: the only list there is. */
/** What a config file may hold. */
export const OptionEntries = {
  origin: v.optional(Origins),
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
  originConnections: v.optional(wholeNumber(1, 1_000_000, "connections"), 1_024),
  originConnectTimeout: v.optional(wholeNumber(1, 3600, "seconds"), 5),
  originHeadTimeout: v.optional(wholeNumber(1, 3600, "seconds"), 60),
  originIdleTimeout: v.optional(wholeNumber(1, 3600, "seconds"), 60),
  httpsPort: v.optional(port(), 8443),
  tlsCert: v.optional(paths()),
  tlsKey: v.optional(paths()),
  trustProxy: v.optional(networks()),
  headTimeout: v.optional(wholeNumber(1, 3600, "seconds"), 10),
  idleTimeout: v.optional(wholeNumber(1, 3600, "seconds"), 60),
  minBodyRate: v.optional(size(0, 1024 ** 3), 500),
  maxConnections: v.optional(wholeNumber(1, 1_000_000, "connections"), 16_384),
  maxHead: v.optional(size(1024, 1024 ** 2), 64 * 1024),
  maxFields: v.optional(wholeNumber(16, 4096, "fields"), 256),
  maxTarget: v.optional(size(256, 1024 ** 2)),
  channel: v.optional(
    v.pipe(
      text(),
      v.regex(CHANNEL, "a channel's name has 1 to 64 letters, digits, - and _, and begins with a letter or a digit"),
    ),
    "default",
  ),
  shared: v.optional(sharedAddress()),
  deployment: v.optional(nodeName(), "webproxy"),
  node: v.optional(nodeName()),
  sharedBudget: v.optional(wholeNumber(1, 10_000, "milliseconds"), 50),
  logFormat: v.optional(oneOf(["pretty", "json", "combined"]), "pretty"),
  logFile: v.optional(text()),
  accessLog: v.optional(text()),
  otlp: v.optional(httpUrl()),
  traceRatio: v.optional(part(), 0.01),
  quiet: v.optional(yesOrNo(), false),
  user: v.optional(text()),
  takeover: v.optional(yesOrNo(), false),
  rules: v.optional(
    about(Rules, "[RULE, ...]", "what holds for paths of what belongs to no site, that is: of `origin`"),
    [],
  ),
  sites: v.optional(
    about(
      Sites,
      "[SITE, ...]",
      "hosts and paths that have origins of their own. Where there are any, `origin` may be left out: what belongs to none is then refused (421; GETFILE: FILE_NOT_FOUND)",
    ),
    [],
  ),
};
const OptionsSchema = v.strictObject(OptionEntries);

/** What a config file may hold: the schema's own view of `WebproxyConfig`. */
export type OptionsInput = v.InferInput<typeof OptionsSchema>;
type ParsedOptions = v.InferOutput<typeof OptionsSchema>;
/** The options of one run, checked and complete. Sizes in bytes. `origin` is not there where every site has its own. */
export type Options = ParsedOptions;
export type OptionName = keyof Options;
/** Options that are written in a config file only. */
export type FileOnlyName = "rules" | "sites";
export type FlagName = Exclude<OptionName, FileOnlyName>;
/** Values by option name, as flags, the environment or a config file give them. */
export type RawOptions = Partial<Record<OptionName, unknown>>;

/** Where the options of one run come from, the strongest first. */
export interface Sources {
  flags: RawOptions;
  /** The variables of the process; only those of `names` are looked at. */
  environment?: Readonly<Record<string, string | undefined>>;
  file?: { path: string; values: RawOptions };
  /** The options that the command has, where it has not all. */
  names?: readonly FlagName[];
}

/** Where the value of one option comes from. */
export type Source = "flag" | "environment" | "file" | "default";

/**
 * The options of one run: flags, then the environment, then the config file, then the defaults.
 *
 * @throws {CommandError} Exit code 2, with a line for each mistake: a value that is no such value, or a name that is no option.
 */
export function parseOptions(sources: Sources): Options {
  const { flags, environment = {}, file, names } = sources;
  const misspelled = misspelledVariable(environment);
  if (misspelled !== undefined)
    throw usageError(
      `Cannot use the variable ${misspelled.name}: there is no such one; did you mean ${misspelled.meant}?`,
    );
  const given: RawOptions = { ...file?.values, ...environmentValues(environment, names), ...flags };
  const parsed = v.safeParse(OptionsSchema, given);
  if (!parsed.success) {
    const mistakes = mistakesOf(parsed.issues, (name) => whereIs(name, sources), given, OptionEntries);
    throw usageError(mistakes.join("\n"));
  }
  return complete(parsed.output);
}

/** Where the value of an option comes from. */
export function sourceOf(name: OptionName, { flags, environment = {}, file, names }: Sources): Source {
  if (name in flags) return "flag";
  if (name in environmentValues(environment, names)) return "environment";
  return file !== undefined && name in file.values ? "file" : "default";
}

/** How an option is called where its value stands, or would. */
function whereIs(name: string, sources: Sources): (path: string) => string {
  const inFile = (path: string) => `"${path}" in ${sources.file?.path ?? "the config file"}`;
  if (!isFlagName(name)) return inFile;
  const source = sourceOf(name, sources);
  if (source === "flag") return () => longFlag(name);
  return source === "environment" ? () => variableOf(name) : inFile;
}

/** What depends on more than one option. */
function complete(options: ParsedOptions): Options {
  const { httpPort, getfilePort, origin, sites, rules } = options;
  // Two listeners on one port would share its connections at random (reusePort), so it is refused before anybody listens.
  if (httpPort !== 0 && httpPort === getfilePort) {
    throw usageError(
      `Cannot use ${httpPort} for both --http-port and --getfile-port: a connection says only with its first bytes what it speaks; ` +
        "give one of them another port",
    );
  }
  if (options.maxTarget !== undefined && options.maxTarget > options.maxHead) {
    throw usageError(
      `Cannot use ${options.maxTarget} bytes for --max-target with ${options.maxHead} for --max-head: the target is a part of the head; raise --max-head`,
    );
  }
  if (sites.length === 0) return { ...options, origin: origin ?? ["./public"] };
  if (origin === undefined && rules.length > 0) {
    throw usageError(
      'Cannot use "rules" without "origin" where there are sites: they are about what belongs to no site; give each site its own rules',
    );
  }
  return options;
}

/**
 * The options as the arguments of a child process, so that it needs neither the config file nor a default. What it is told of sites is not among them; nor is
 * where the shared tier is, which may hold a password: every user can read arguments.
 */
export function asArguments(options: Options): string[] {
  const args: string[] = [];
  for (const name of flagNames()) {
    if (name === "shared") continue;
    const value = options[name];
    if (value === true) args.push(longFlag(name));
    else if (Array.isArray(value)) for (const one of value) args.push(longFlag(name), one);
    else if (value !== undefined && value !== false) args.push(longFlag(name), String(value));
  }
  return args;
}
