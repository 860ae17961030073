import { isStopped } from "@proj/ipc";
import { HEARTBEAT_MS, SilenceWatch } from "@proj/protocol";

/** A process that is silent for so long is looked at: three beats have not come. */
const LOOK_AFTER_MS = 3 * HEARTBEAT_MS;
/**
 * A shard that is silent for so long without being stopped hangs, or has very much to do: who has not been answered yet is served without it. Turning away from
 * a healthy shard costs a request to the origin, so this may be wrong now and then; on two processors that forty programs want, beats are 0.1 to 0.3 s late.
 */
const HANGS_AFTER_MS = 1_000;

/** Which shards of one life of the cache answer nobody at the moment, because their process is stopped or they hang. */
export class CacheWatch {
  readonly #pid: number;
  readonly #watch: SilenceWatch;
  readonly #silent: boolean[];

  constructor(pid: number, shards: number) {
    this.#pid = pid;
    this.#watch = new SilenceWatch(shards);
    this.#silent = Array.from({ length: shards }, () => false);
  }

  /** Looks once more; to be called every {@link HEARTBEAT_MS}. Returns the shards that have fallen silent since the last look. */
  look(words: Int32Array, nowMs: number): readonly number[] {
    this.#watch.look(words, nowMs);
    const fallen: number[] = [];
    for (let shard = 0; shard < this.#silent.length; shard++) {
      const isSilent = this.#isSilentNow(this.#watch.silentMs(shard));
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

  #isSilentNow(silentMs: number): boolean {
    return silentMs >= HANGS_AFTER_MS || (silentMs >= LOOK_AFTER_MS && isStopped(this.#pid));
  }
}
