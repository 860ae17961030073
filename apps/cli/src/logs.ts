import type { AccessLog } from "./access/log.ts";
import { accessLogOutput } from "./access/output.ts";
import { messageOf } from "./command-error.ts";
import { createLog, type Log } from "./log.ts";
import { LogOutput } from "./log-output.ts";
import type { Options } from "./options.ts";
import { reopenMeans } from "./stop-request.ts";
import type { TraceExporter } from "./traces/exporter.ts";
import { uncaughtIsSaidBy } from "./uncaught.ts";

type LogOptions = Pick<Options, "channel" | "logFormat" | "logFile" | "accessLog" | "quiet" | "otlp">;

/** The logs of one process, as its options say. Their files are opened anew on SIGUSR1. */
export class Logs implements AsyncDisposable {
  readonly log: Log;
  readonly #options: LogOptions;
  readonly #output: LogOutput;
  readonly #forgetReopen: () => void;
  readonly #forgetUncaught: () => void;
  #access: AccessLog | undefined;
  #traces: TraceExporter | undefined;

  /**
   * @param source Which process speaks: `webproxy`, `proxy` or `cache`.
   * @throws {CommandError} Exit code 1: the file can not be opened.
   */
  constructor(options: LogOptions, source: string) {
    this.#options = options;
    this.#output = new LogOutput(options.logFile);
    this.log = createLog({ format: options.logFormat, isQuiet: options.quiet, source, output: this.#output });
    this.#output.onLost = (lines) => this.#tellOfLost(lines, "log");
    this.#forgetReopen = reopenMeans(() => this.#reopen());
    this.#forgetUncaught = uncaughtIsSaidBy(this.log);
  }

  /**
   * From now on each request is logged, and traces are sent, if the options say so.
   *
   * @throws {CommandError} Exit code 1: the file can not be opened.
   */
  async logRequests(): Promise<void> {
    const { channel, logFormat: format, otlp } = this.#options;
    if (otlp !== undefined) {
      const { TraceExporter } = await import("./traces/exporter.ts");
      this.#traces = new TraceExporter({ otlp, channel, log: this.log });
      this.#traces.start();
    }
    const output = accessLogOutput(this.#options);
    if (output === undefined) return;
    output.onLost = (lines) => this.#tellOfLost(lines, "access log");
    const { AccessLog } = await import("./access/log.ts");
    this.#access = new AccessLog({ channel, format, output, log: this.log });
    this.#access.start();
  }

  /** Writes what is left: once whoever answers requests has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#forgetReopen();
    this.#access?.stop();
    await this.#traces?.stop();
    this.#forgetUncaught();
    this.#output.close();
  }

  #tellOfLost(lines: number, where: string): void {
    this.log({
      level: "warn",
      message: `${lines} lines are missing from the ${where}: whoever reads it did not go on`,
    });
  }

  #reopen(): void {
    for (const output of [this.#output, this.#access?.output]) {
      try {
        output?.reopen();
      } catch (error) {
        this.log({ level: "error", message: `${messageOf(error)}. The file that is open goes on being written` });
      }
    }
  }
}
