import { isStopped } from "@proj/ipc";
import { LOOK_AFTER_MS, OwnSilence } from "@proj/process";
import { SilenceWatch, threadIdWord } from "@proj/protocol";

/**
 * A shard that is silent for so long without being stopped, although it had a processor, hangs, or has very much to do: who has not been answered yet is served
 * without it. Turning away from a healthy shard costs a request to the origin, so this may be wrong now and then.
 */
const HANGS_AFTER_MS = 1_000;

/** Which shards of one life of the cache answer nobody at the moment, because their process is stopped or they hang. */
export class CacheWatch {
  readonly #pid: number;
  readonly #watch: SilenceWatch;
  readonly #own: OwnSilence;
  readonly #silent: boolean[];

  constructor(pid: number, shards: number) {
    this.#pid = pid;
    this.#watch = new SilenceWatch(shards);
    this.#own = new OwnSilence(pid);
    this.#silent = Array.from({ length: shards }, () => false);
  }

  /** Looks once more; to be called every {@link HEARTBEAT_MS}. Returns the shards that have fallen silent since the last look. */
  look(words: Int32Array, nowMs: number): readonly number[] {
    this.#watch.look(words, nowMs);
    const fallen: number[] = [];
    for (let shard = 0; shard < this.#silent.length; shard++) {
      const silentMs = this.#watch.silentMs(shard);
      const ownMs = this.#own.ms(shard, words[threadIdWord(shard)]!, silentMs);
      const isSilent = ownMs >= HANGS_AFTER_MS || (silentMs >= LOOK_AFTER_MS && isStopped(this.#pid));
      if (isSilent && !this.#silent[shard]) fallen.push(shard);
      this.#silent[shard] = isSilent;
    }
    return fallen;
  }

  get hasSilent(): boolean {
    return this.#silent.includes(true);
  }

  isSilent(shard: number): boolean {
    return this.#silent[shard] === true;
  }
}
