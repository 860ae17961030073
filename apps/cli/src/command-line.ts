import { Command, CommanderError, Option } from "commander";
import packageJson from "../package.json" with { type: "json" };
import type { ChildProcess } from "./child-process.ts";
import { CommandError, messageOf, usageError } from "./command-error.ts";
import { FLAGS, flagNames } from "./flags.ts";
import { type FlagName, type Options, parseOptions, type RawOptions, type Sources, sourceOf } from "./options.ts";
import type { PurgeWish } from "./purge.ts";
import type { StopRequest } from "./stop-request.ts";
import { complain } from "./write-at-once.ts";

/** What a command does; resolves to the exit code. Its code is loaded when it is run: `--help` needs none of it. */
type Run<Arguments extends unknown[]> = (...given: Arguments) => Promise<number>;

// start, proxy and cache understand all options, the others a few of them.
const PURGE_OPTIONS: readonly FlagName[] = ["adminHost", "adminPort"];
const CHANNEL_OPTIONS: readonly FlagName[] = ["channel"];
const STORE_OPTIONS: readonly FlagName[] = ["cacheDir", "channel"];
const GET_OPTIONS: readonly FlagName[] = ["host", "getfilePort", "getfileWire"];

/**
 * Runs the command that the arguments name and resolves to the exit code of the process: 0 ended as asked, 1 it could not run,
 * 2 it was asked wrongly. A refusal is one message on standard error.
 *
 * @param cache A spare process for the cache, where one has been started ahead.
 */
export async function runCommandLine(
  args: readonly string[],
  stop: StopRequest,
  cache: ChildProcess | undefined,
): Promise<number> {
  let exitCode = 0;
  const setExitCode = (code: number) => {
    exitCode = code;
  };
  const program = commandLine({
    stop,
    cache,
    exitWith:
      (run) =>
      async (...given) =>
        setExitCode(await run(...given)),
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    complain(complaint(error));
    return error instanceof CommandError ? error.exitCode : 1;
  }
}

/** Where files run out almost anything may fail, its own code's loading too; what that says does not say what to do. */
function complaint(error: unknown): string {
  const message = messageOf(error);
  if (!message.includes("EMFILE") || message.includes("RLIMIT_")) return message;
  return `Cannot go on: ${message}. RLIMIT_NOFILE allows too few open files: raise it (ulimit -n 65536; LimitNOFILE= in systemd)`;
}

/** What each command is added with: the request to stop, a cache started ahead, and how its outcome becomes the exit code. */
interface Surroundings {
  stop: StopRequest;
  cache: ChildProcess | undefined;
  exitWith: <Arguments extends unknown[]>(run: Run<Arguments>) => (...given: Arguments) => Promise<void>;
}

function commandLine(surroundings: Surroundings): Command {
  const program = new Command("webproxy")
    .description("A caching web proxy as two processes that share memory: GETFILE and HTTP in, an HTTP origin behind.")
    .version(packageJson.version, "--version", "print the version")
    .helpOption("--help", "print this help")
    .showHelpAfterError("See webproxy --help")
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(refusalText(text)) });
  addStart(program, surroundings);
  addSide(program, "proxy", surroundings);
  addSide(program, "cache", surroundings);
  addGet(program, surroundings);
  addStats(program, surroundings);
  addTop(program, surroundings);
  addExplain(program, surroundings);
  addLog(program, surroundings);
  addDoctor(program, surroundings);
  addStoreCommands(program, surroundings);
  addConfig(program, surroundings);
  return program;
}

function addStart(program: Command, { stop, cache, exitWith }: Surroundings): void {
  const start = withConfig(withOptions(program.command("start", { isDefault: true }), flagNames()))
    .description("run cache and proxy under a supervisor (the default command)")
    .usage("[options]")
    .argument("[command]")
    .action(
      exitWith(async (unknown: string | undefined, flags: RawOptions) => {
        if (unknown !== undefined) program.error(`error: unknown command '${unknown}'`);
        const sources = await sourcesOf(flags);
        const options = parseOptions(sources);
        const { runSupervisor } = await import("./supervisor.ts");
        return runSupervisor(options, stop, { hasFile: sources.file !== undefined, cache });
      }),
    );
  program.addHelpText("after", () => `\nOptions of start, proxy and cache:\n${optionsHelp(start)}`);
}

function addSide(program: Command, side: "proxy" | "cache", { stop, exitWith }: Surroundings): void {
  withConfig(withOptions(program.command(side), flagNames()))
    .description(`run the ${side} process alone; its peer is found by --channel, in either order`)
    .action(
      exitWith(async (flags: RawOptions) => {
        const sources = await sourcesOf(flags);
        const options = parseOptions(sources);
        const { runSide } = await import("./run-side.ts");
        return runSide(side, options, { stop, hasFile: sources.file !== undefined });
      }),
    );
}

function addGet(program: Command, { stop, exitWith }: Surroundings): void {
  withOptions(program.command("get"), GET_OPTIONS)
    .description("fetch PATH, or getfile://HOST:PORT/PATH, with the GETFILE protocol")
    .argument("<path>")
    .option("-o, --output <FILE>", "write to FILE (default: standard output)")
    .option("--wire <WIRE>", "the same as --getfile-wire")
    .option("--port <N>", "the same as --getfile-port")
    .action(
      exitWith(async (path: string, { output, wire, port, ...flags }: GetFlags) => {
        const raw: RawOptions = { ...flags };
        if (wire !== undefined) raw.getfileWire = wire;
        if (port !== undefined) raw.getfilePort = port;
        const options = optionsOf(GET_OPTIONS, raw);
        const { runGet } = await import("./get.ts");
        return runGet({ path, output, options, stop: stop.asked });
      }),
    );
}

function addStats(program: Command, { exitWith }: Surroundings): void {
  withOptions(program.command("purge"), PURGE_OPTIONS)
    .description("take stored responses out of the cache of a webproxy that runs")
    .argument("[url]", "URL, or path with query, of one resource")
    .option("--prefix <URL>", "all whose URL begins so")
    .option("--pattern <PATTERN>", "all whose path and query match; * stands for any run of characters")
    .option("--tag <TAG>", "all with this Surrogate-Key, Cache-Tag or cache group")
    .option("--all", "everything")
    .option("--soft", "leave it as stale: it is validated at its next use")
    .option("--dry-run", "only say how many there are")
    .option("--json", "print JSON")
    .action(
      exitWith(async (url: string | undefined, flags: PurgeFlags) => {
        const { prefix, pattern, tag, all, soft, dryRun, json, ...raw } = flags;
        const options = optionsOf(PURGE_OPTIONS, raw);
        const { runPurge } = await import("./purge.ts");
        return runPurge({ url, prefix, pattern, tag, all, soft, dryRun }, options, { asJson: json === true });
      }),
    );

  withOptions(program.command("stats"), CHANNEL_OPTIONS)
    .description("what the processes of a channel have counted")
    .option("--json", "print JSON")
    .action(
      exitWith(async ({ json, ...flags }: RawOptions & { json?: true }) => {
        const { channel } = optionsOf(CHANNEL_OPTIONS, flags);
        const { runStats } = await import("./stats.ts");
        return runStats(channel, { asJson: json === true });
      }),
    );
}

function addLog(program: Command, { stop, exitWith }: Surroundings): void {
  withOptions(program.command("log"), [...CHANNEL_OPTIONS, "logFormat"])
    .description(
      "the requests that were answered last; of the fastest hits a sample, unless all are being logged or followed",
    )
    .argument("[filters...]", "only those with FIELD=VALUE, FIELD!=VALUE, FIELD>=NUMBER, FIELD~PATTERN ...")
    .option("-f, --follow", "and those to come, every one of them")
    .option("--json", "the same as --log-format json")
    .action(
      exitWith(async (filters: string[], { follow, json, ...flags }: RawOptions & { follow?: true; json?: true }) => {
        const { channel, logFormat } = optionsOf([...CHANNEL_OPTIONS, "logFormat"], flags);
        const { runLog } = await import("./access/show.ts");
        const format = json === true ? "json" : logFormat;
        return runLog({ channel, format, filters, follow: follow === true, stop: stop.asked });
      }),
    );
}

function addTop(program: Command, { stop, exitWith }: Surroundings): void {
  withOptions(program.command("top"), CHANNEL_OPTIONS)
    .description(
      "a channel live: rates, latencies, tiers, segments, URLs, requests; a line each second when not in a terminal",
    )
    .addOption(new Option("--count <SECONDS>", "end after so many seconds").argParser(wholeSeconds))
    .action(
      exitWith(async ({ count, ...flags }: RawOptions & { count?: number }) => {
        const { channel } = optionsOf(CHANNEL_OPTIONS, flags);
        const { runTop } = await import("./top/run.ts");
        return runTop({ channel, count, stop: stop.asked });
      }),
    );
}

function addExplain(program: Command, { exitWith }: Surroundings): void {
  withOptions(program.command("explain"), PURGE_OPTIONS)
    .description(
      "what a webproxy that runs would do with a request, and why: what is stored, and which directive decides",
    )
    .argument("<url>", "URL, or path with query")
    .option(
      "-H, --header <HEADER>",
      "a field of the request, as Name: value; more than once",
      (line: string, all: string[] = []) => [...all, line],
    )
    .option("-X, --method <METHOD>", "its method (default GET)")
    .option("--fetch", "make the request first, as a client")
    .option("--json", "print JSON")
    .action(
      exitWith(async (url: string, { header = [], method, fetch, json, ...flags }: ExplainFlags) => {
        const options = optionsOf(PURGE_OPTIONS, flags);
        const { runExplain } = await import("./explain/run.ts");
        const request = { url, headers: header, ...(method !== undefined && { method }), fetch: fetch === true };
        return runExplain(request, options, { asJson: json === true });
      }),
    );
}

type ExplainFlags = RawOptions & { header?: string[]; method?: string; fetch?: true; json?: true };

function wholeSeconds(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageError(`Cannot use ${JSON.stringify(text)} for --count: it must be a whole number of seconds`);
}

function addDoctor(program: Command, { exitWith }: Surroundings): void {
  withOptions(program.command("doctor"), CHANNEL_OPTIONS)
    .description("kernel limits and what dead processes left behind, on every channel or on one")
    .option("--fix", "remove what is provably dead")
    .action(
      exitWith(async ({ fix, ...flags }: RawOptions & { fix?: true }) => {
        const { channel } = optionsOf(CHANNEL_OPTIONS, flags);
        const isGiven = sourceOf("channel", { flags, environment: process.env }) !== "default";
        const { runDoctor } = await import("./doctor.ts");
        return runDoctor({ channel: isGiven ? channel : undefined, fix: fix === true });
      }),
    );
}

type PurgeFlags = RawOptions & Omit<PurgeWish, "url"> & { json?: true };
function addStoreCommands(program: Command, { exitWith }: Surroundings): void {
  withOptions(program.command("inspect"), STORE_OPTIONS)
    .description("what is stored on disk, of all resources or of one; what is in memory only is not among it")
    .argument("[url]", "URL, or path with query, of one resource")
    .option("--json", "print JSON, one line for each stored response")
    .action(
      exitWith(async (url: string | undefined, { json, ...flags }: RawOptions & { json?: true }) => {
        const options = optionsOf(STORE_OPTIONS, flags);
        const { runInspect } = await import("./inspect.ts");
        return runInspect(url, options, { asJson: json === true });
      }),
    );

  withOptions(program.command("export"), STORE_OPTIONS)
    .description("write all that is stored on disk to FILE, for another machine; the cache may be running")
    .argument("<file>")
    .action(
      exitWith(async (file: string, flags: RawOptions) => {
        const options = optionsOf(STORE_OPTIONS, flags);
        const { runExport } = await import("./archive.ts");
        return runExport(file, options);
      }),
    );

  withOptions(program.command("import"), [...STORE_OPTIONS, "disk"])
    .description("add what webproxy export has written to FILE to a store; the cache must not be running")
    .argument("<file>")
    .action(
      exitWith(async (file: string, flags: RawOptions) => {
        const options = optionsOf([...STORE_OPTIONS, "disk"], flags);
        const { runImport } = await import("./archive.ts");
        return runImport(file, options);
      }),
    );
}

function addConfig(program: Command, { exitWith }: Surroundings): void {
  const config = program.command("config").description("what the config file, the environment and the flags amount to");
  withConfig(withOptions(config.command("check"), flagNames()))
    .description("say what is wrong with the configuration, and where; exit code 2 if anything is")
    .action(
      exitWith(async (flags: RawOptions) => {
        const sources = await sourcesOf(flags);
        const options = parseOptions(sources);
        const { runConfigCheck } = await import("./config-command.ts");
        return runConfigCheck(options, sources);
      }),
    );
  withConfig(withOptions(config.command("print"), flagNames()))
    .description("print all of it, as a config file in JSON")
    .option("--sources", "print each value with where it is from")
    .action(
      exitWith(async ({ sources: withSources, ...flags }: RawOptions & { sources?: true }) => {
        const sources = await sourcesOf(flags);
        const options = parseOptions(sources);
        const { runConfigPrint } = await import("./config-command.ts");
        return runConfigPrint(options, sources, { withSources: withSources === true });
      }),
    );
}

type GetFlags = RawOptions & { output?: string; wire?: string; port?: string };

function withOptions(command: Command, names: readonly FlagName[]): Command {
  for (const name of names) {
    const { flags, help, isRepeatable } = FLAGS[name];
    const option = new Option(flags, help);
    if (isRepeatable) option.argParser((value: string, before: string[] = []) => [...before, value]);
    command.addOption(option);
  }
  return command;
}

function withConfig(command: Command): Command {
  return command.option(
    "--config <FILE>",
    "webproxy.config.ts or .json with the same options, sites and rules; flags and environment win",
  );
}

/** Where the options of a run come from, with the config file read. */
async function sourcesOf({
  config = process.env["WEBPROXY_CONFIG"],
  ...flags
}: RawOptions & { config?: string }): Promise<Sources> {
  const environment = process.env;
  if (config === undefined || config === "") return { flags, environment };
  const { readConfigFile } = await import("./config-file.ts");
  return { flags, environment, file: { path: config, values: await readConfigFile(config) } };
}

/** The options of a command that has these, and reads no config file. */
function optionsOf(names: readonly FlagName[], flags: RawOptions): Options {
  return parseOptions({ flags, environment: process.env, names });
}

/** The part of a command's help that lists its options. */
function optionsHelp(command: Command): string {
  return command.helpInformation().split("Options:\n")[1] ?? "";
}

/** Commander's messages begin with "error: "; ours with the program's name. */
function refusalText(text: string): string {
  return text.replace(/^error: /, "webproxy: ");
}
