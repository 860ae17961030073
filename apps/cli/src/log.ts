import type { LogRecord } from "@proj/protocol";
import { combinedLine } from "./log-combined.ts";
import { escapeControls, withoutControls } from "./log-escapes.ts";
import { LogOutput } from "./log-output.ts";

export type LogFormat = "pretty" | "json" | "combined";
export type Log = (record: LogRecord) => void;

export interface LogOptions {
  format: LogFormat;
  isQuiet: boolean;
  source: string;
  isColored?: boolean;
  output?: Pick<LogOutput, "write" | "isTerminal">;
}

/**
 * Writes records to standard error, or where `output` says: for people (`pretty`), a JSON object a line (`json`), or requests in Apache's combined format
 * (`combined`, which keeps warnings and errors as plain lines). What clients put into a record can neither forge a line nor steer a terminal.
 *
 * @param options.source Which process says it: `webproxy`, `proxy` or `cache`.
 * @param options.isColored By default when the output is a terminal.
 */
export function createLog(options: LogOptions): Log {
  const output = options.output ?? new LogOutput();
  const write = (text: string) => output.write(text);
  if (options.format === "combined") return combinedLog(options.isQuiet, options.source, write);
  // The logging library is loaded with the first record, and whether there is a terminal is found out then: 40 and 13 ms that most processes do not need before they serve.
  const isColored = () => options.isColored ?? (output.isTerminal && !process.env["NO_COLOR"]); // https://no-color.org
  let log: Log | undefined;
  return (record) => {
    log ??= loadedLog(options, isColored, write);
    (log ?? plainLog(options, write))(record);
  };
}

/** Undefined where the library can not be loaded just now: a process that gets no more descriptors or memory has something to say, too. */
function loadedLog(options: LogOptions, isColored: () => boolean, write: (line: string) => void): Log | undefined {
  try {
    return pinoLog(options, isColored, write);
  } catch {
    return undefined;
  }
}

function plainLog({ format, isQuiet, source }: LogOptions, write: (line: string) => void): Log {
  return ({ level, message, ...fields }) => {
    if (level === "debug" || (isQuiet && level !== "error")) return;
    const time = new Date().toISOString();
    if (format === "pretty") write(`${time} ${level} ${source}: ${String(withoutControls(message))}\n`);
    else write(escapeControls(`${JSON.stringify({ level, time, source, ...withoutErrors(fields), message })}\n`));
  };
}

function pinoLog(
  { format, isQuiet, source }: LogOptions,
  isColored: () => boolean,
  write: (line: string) => void,
): Log {
  const pino: typeof import("pino") = require("pino");
  const isPretty = format === "pretty";
  const writeJson = (line: string) => write(escapeControls(line));
  const logger = pino(
    {
      level: isQuiet ? "error" : "info",
      base: { source },
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: isPretty ? prettyWriter(isColored(), write) : writeJson },
  );
  return ({ level, message, ...fields }) => {
    const plain = withoutErrors(fields);
    if (isPretty) logger[level](withoutControls(plain) as object, withoutControls(message) as string);
    else logger[level](plain, message);
  };
}

function prettyWriter(isColored: boolean, write: (line: string) => void): (line: string) => void {
  const { prettyFactory }: typeof import("pino-pretty") = require("pino-pretty");
  const format = prettyFactory({
    colorize: isColored,
    messageKey: "message",
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "source",
    messageFormat: "{source}: {message}",
    singleLine: true,
  });
  return (line) => write(format(line));
}

function combinedLog(isQuiet: boolean, source: string, write: (line: string) => void): Log {
  return (record) => {
    const request = combinedLine(record);
    if (request !== undefined) {
      if (!isQuiet) write(`${request}\n`);
      return;
    }
    const isShown = record.level === "error" || (record.level === "warn" && !isQuiet);
    if (isShown) write(`${record.level} ${source}: ${String(withoutControls(record.message))}\n`);
  };
}

/** An error as its code and message: its stack is for whoever wrote the program. */
function withoutErrors(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? value.message : value]),
  );
}
