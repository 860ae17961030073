import { LogOutput } from "../log-output.ts";
import type { Options } from "../options.ts";

type AccessLogChoice = Pick<Options, "accessLog" | "logFile" | "logFormat">;

/** Whether each request is logged: told where to, or in the format that is for requests. */
export function logsRequests({ accessLog, logFormat }: AccessLogChoice): boolean {
  return accessLog !== undefined || logFormat === "combined";
}

/**
 * Where the access log goes: as `--access-log` says, `-` and nothing being where the log itself goes.
 *
 * @throws {CommandError} Exit code 1: the file can not be opened.
 */
export function accessLogOutput(options: AccessLogChoice): LogOutput | undefined {
  if (!logsRequests(options)) return undefined;
  const { accessLog = "-", logFile } = options;
  return new LogOutput(accessLog === "-" ? logFile : accessLog);
}
