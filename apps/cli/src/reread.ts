import { outputOf } from "./child-output.ts";
import { cannotRun, messageOf } from "./command-error.ts";
import { FLAGS, flagNames } from "./flags.ts";
import { type Options, parseOptions, type RawOptions } from "./options.ts";

/** A config file that is a program may take some time, and not for ever. */
const READ_MS = 10_000;
/** Commands that take all options. */
const COMMANDS = new Set(["start", "proxy", "cache"]);

/**
 * The options as this process's own command line, environment and config file give them now.
 *
 * A process of its own reads them, `webproxy config print`: modules that a config file imports are read anew there, and whatever that program does, it
 * does not do it here.
 *
 * @throws {CommandError} What `webproxy config check` would say.
 */
export async function rereadOptions(): Promise<Options> {
  const [first, ...others] = process.argv.slice(2);
  const flags = first === undefined || COMMANDS.has(first) ? others : [first, ...others];
  const child = Bun.spawn([process.execPath, Bun.main, "config", "print", ...flags], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: READ_MS,
    killSignal: "SIGKILL",
  });
  const { exitCode, stdout, stderr } = await outputOf(child);
  if (exitCode !== 0) {
    const why = stderr.trim().replace(/^webproxy: /, "");
    throw cannotRun(why === "" ? `Cannot read the configuration within ${READ_MS / 1000} s` : why);
  }
  return parseOptions({ flags: {}, file: { path: "what config print prints", values: parsePrinted(stdout) } });
}

function parsePrinted(text: string): RawOptions {
  try {
    return JSON.parse(text) as RawOptions;
  } catch (error) {
    throw cannotRun(
      `Cannot read the configuration: what the config file prints is in the way (${messageOf(error)})`,
      error,
    );
  }
}

/** `wanted`, but for what takes a restart: that stays as it is. `waiting`: the names of the options that would be others. */
export function withLiveOptions(current: Options, wanted: Options): { options: Options; waiting: string[] } {
  const { rules, sites } = wanted;
  const options: Options = { ...current, rules, sites };
  const waiting: string[] = [];
  for (const name of flagNames()) {
    if (FLAGS[name].isLive) Object.assign(options, { [name]: wanted[name] });
    else if (JSON.stringify(current[name]) !== JSON.stringify(wanted[name])) waiting.push(name);
  }
  // What listens for TLS is decided at the start; certificates alone can be others.
  if ((current.tlsCert === undefined) !== (wanted.tlsCert === undefined)) {
    Object.assign(options, { tlsCert: current.tlsCert, tlsKey: current.tlsKey });
    waiting.push("tlsCert");
  }
  return { options, waiting };
}
