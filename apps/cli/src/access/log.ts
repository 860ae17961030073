import type { Log, LogFormat } from "../log.ts";
import type { LogOutput } from "../log-output.ts";
import { AccessFeed } from "./feed.ts";
import { accessLine } from "./line.ts";

export interface AccessLogOptions {
  channel: string;
  format: LogFormat;
  /** Where its lines go. */
  output: LogOutput;
  /** Told that lines are missing. */
  log: Log;
}

/** Writes a line for each request that the proxy of a channel answers. It reads what the proxy's threads record: they wait neither for it nor for a disk. */
export class AccessLog {
  readonly #feed: AccessFeed;
  readonly output: LogOutput;

  constructor({ channel, format, output, log }: AccessLogOptions) {
    this.output = output;
    const isColored = output.isTerminal && !process.env["NO_COLOR"];
    this.#feed = new AccessFeed({
      channel,
      wantsAll: true,
      from: "oldest",
      onRecords: (records) => output.write(records.map((record) => accessLine(record, format, isColored)).join("")),
      onLost: (count) =>
        log({
          level: "warn",
          message: `${count} requests are missing from the access log: they came faster than it is written`,
        }),
    });
  }

  start(): void {
    this.#feed.start();
  }

  /** Writes what is left. To be called when the proxy has ended. */
  stop(): void {
    this.#feed.stop();
    this.output.close();
  }
}
