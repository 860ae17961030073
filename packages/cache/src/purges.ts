import type { LogRecord } from "@proj/protocol";
import type { PurgeCount, ShardPurge, ShardPurgeCount } from "./purge.ts";
import { nextPurgeNumber, type PurgeJournal } from "./storage/purge-journal.ts";

/** The purges of a cache process: numbered, told to every shard, and known to the next life until all that they concern has gone from the medium. */
export class Purges {
  readonly #journal: PurgeJournal | undefined;
  readonly #askShards: (purge: ShardPurge) => Promise<ShardPurgeCount[]>;
  #number = 0;

  /** @param journal Undefined where nothing is stored for another life. */
  constructor(journal: PurgeJournal | undefined, askShards: (purge: ShardPurge) => Promise<ShardPurgeCount[]>) {
    this.#journal = journal;
    this.#askShards = askShards;
  }

  /** Ends what a former life has begun: shards have been told of it when they were started. */
  async endPending(log: (record: LogRecord) => void): Promise<void> {
    const pending = this.#journal?.pending ?? [];
    if (this.#journal?.isDamaged === true) {
      const message =
        "The list of purges in the cache directory is damaged: all that was stored is purged, since what should be is not known";
      log({ level: "error", message });
    }
    await Promise.all(pending.map((purge) => this.#run(purge)));
  }

  /**
   * See `RunningCache.purge`.
   *
   * @throws {ThreadError} A thread has died. Or what the medium said when it was to take the purge for the next life to know: it is done, in this one.
   */
  async purge(purge: Omit<ShardPurge, "number">): Promise<PurgeCount> {
    if (purge.dryRun || this.#journal === undefined) {
      if (!purge.dryRun) this.#number = nextPurgeNumber(this.#number, Date.now());
      return sumOf(await this.#askShards({ ...purge, number: this.#number }));
    }
    const { number, durable } = this.#journal.record(purge);
    const [count, recorded] = await Promise.allSettled([this.#run({ ...purge, number }), durable]);
    if (count.status === "rejected") throw count.reason;
    if (recorded.status === "rejected") {
      const why = `${(recorded.reason as Error).message}: it is done, but a restart might bring back what it concerns`;
      throw new Error(why, { cause: recorded.reason });
    }
    return count.value;
  }

  async #run(purge: ShardPurge): Promise<PurgeCount> {
    const counts = await this.#askShards(purge);
    // What could not be removed is looked for again in the next life.
    if (counts.every(({ filesLeft }) => filesLeft === 0)) this.#journal?.ended(purge.number);
    return sumOf(counts);
  }
}

function sumOf(counts: readonly PurgeCount[]): PurgeCount {
  return {
    responses: counts.reduce((sum, { responses }) => sum + responses, 0),
    bodyBytes: counts.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
  };
}
