import { cannotRun, usageError } from "../command-error.ts";
import type { LogFormat } from "../log.ts";
import { aborted } from "../stop-request.ts";
import { AccessFeed } from "./feed.ts";
import { parseFilter } from "./filter.ts";
import { accessLine } from "./line.ts";

export interface ShowOptions {
  channel: string;
  format: LogFormat;
  /** `field=value` and the like, all of which have to hold. */
  filters: readonly string[];
  /** What comes from now on too, until it is stopped. */
  follow: boolean;
  stop: AbortSignal;
}

/**
 * Prints the requests that the proxy of a channel has answered last, as far as it still has them, and with `follow` those to come. Reads shared memory:
 * the processes may hang, or be dead.
 *
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: there is no proxy on the channel. 2: a filter that is none.
 */
export async function runLog({ channel, format, filters, follow, stop }: ShowOptions): Promise<number> {
  const tests = filters.map((text) => parseFilter(text));
  for (const test of tests) if (typeof test === "string") throw usageError(test);
  const isWanted = tests.filter((test) => typeof test !== "string");
  const isColored = process.stdout.isTTY === true && !process.env["NO_COLOR"];
  const feed = new AccessFeed({
    channel,
    wantsAll: follow,
    from: "oldest",
    onRecords: (records) => {
      // Of what was there already the threads' records are one after another: in the order of time they tell the story.
      const sorted = [...records].sort((one, other) => one.startedMs - other.startedMs);
      const shown = sorted.filter((record) => isWanted.every((test) => test(record)));
      process.stdout.write(shown.map((record) => accessLine(record, format, isColored)).join(""));
    },
    onLost: (count) =>
      process.stderr.write(`webproxy: ${count} requests are not shown: they came faster than they were read\n`),
  });
  feed.poll();
  if (!feed.isAttached) {
    feed.stop();
    throw cannotRun(
      `Cannot read the requests of channel "${channel}": no proxy of it runs for this user; name another with --channel, or start it with webproxy --channel ${channel}`,
    );
  }
  if (follow) {
    feed.start();
    await aborted(stop);
  }
  feed.stop();
  return 0;
}
