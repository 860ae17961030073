import { type Engine, EngineError } from "./engine.ts";
import { CHUNK_BYTES, checksum, chunkBytes, chunksOf, type Entry, encodeEntry } from "./entry.ts";
import type { SharedKeys } from "./keys.ts";
import type { Lease } from "./lease.ts";
import type { LogStanding } from "./log-standing.ts";
import type { LoggedSelector } from "./purge-index.ts";
import type { SharedTierOptions } from "./shared-tier-options.ts";
import { COMMIT, DROP, RENEW, TAG } from "./tier-scripts.ts";
import { newToken } from "./token.ts";
import { WriteQueue } from "./write-queue.ts";

/** A response to be written, and its body, which is read as it is written. */
export interface SharedWrite {
  readonly key: string;
  readonly varyKey: string;
  readonly bodyBytes: number;
  readonly filledAfter: number;
  /** How long it is of any use. */
  readonly liveMs: number;
  readonly tags: readonly string[];
  /** Called when it is written: the description as of then. */
  readonly describe: () => Uint8Array;
  /** Fills `into` from `position`. Rejects when it can not. */
  readonly read: (position: number, into: Uint8Array) => Promise<void>;
  /** Whether it is still worth writing. */
  readonly isWanted: () => boolean;
  /** It is written, or will not be. */
  readonly done: (entry: Entry | undefined) => void;
  readonly lease: Lease | undefined;
}

/** What is new about a response whose body stays. */
export interface SharedRenewal {
  readonly filledAfter: number;
  readonly liveMs: number;
  readonly description: Uint8Array;
  readonly lease: Lease | undefined;
  readonly done: (entry: Entry) => void;
}

/** Longer bodies are not shared. */
const SHARED_BODY_BYTES_MAX = 256 * 1024 * 1024;
/** How long the engine may take for what nobody waits for. */
export const WRITE_MS = 2_000;
/** Chunks outlive their metadata by this; those of a replaced body live so long. */
const GRACE_MS = 60_000;
const VARIANTS_MAX = 64;
const TAG_MEMBERS_MAX = 65_536;
const REST_MS = 1_000;
const SCAN_COUNT = 500;

/** What one thread puts into the engine and takes out of it, by and by: nobody waits for it. Chunks on their way out hold up no look-up, which has a connection of its own. */
export class TierWriter {
  readonly #engine: Engine;
  readonly #keys: SharedKeys;
  readonly #standing: LogStanding;
  readonly #options: Pick<SharedTierOptions, "count" | "log" | "nowMs" | "monotonicMs">;
  readonly #queue = new WriteQueue();
  /** Nothing is written until then. */
  #restsUntilMs = 0;

  constructor(
    engine: Engine,
    keys: SharedKeys,
    standing: LogStanding,
    options: Pick<SharedTierOptions, "count" | "log" | "nowMs" | "monotonicMs">,
  ) {
    this.#engine = engine;
    this.#keys = keys;
    this.#standing = standing;
    this.#options = options;
  }

  /** Takes a variant out of the engine, by and by. @param body Unless another one has taken its place; "" for whatever is there; of all variants with `variant` "". */
  drop(hash: string, variant: string, body: string): void {
    const keys = [this.#keys.metadata(hash)];
    this.#unheard(this.#engine.run(WRITE_MS, DROP, keys, this.#keys.chunks(hash), GRACE_MS, variant, body));
  }

  /** Takes out what is no value of ours. */
  unlink(key: string): void {
    this.#unheard(this.#engine.call(WRITE_MS, "UNLINK", key));
  }

  /** Goes on with a lease under another value; with 0 ms, gives it up. */
  renewLease({ key, token }: Lease, value: string, ms: number): void {
    this.#unheard(this.#engine.run(WRITE_MS, RENEW, [key], token, value, ms));
  }

  /** Makes room of what a purge concerns, as far as it is known by name: what stays is not given out any more, and goes in time. */
  async makeRoom(selector: LoggedSelector): Promise<void> {
    if (selector.by === "key") this.drop(this.#keys.hashOf(selector.key), "", "");
    if (selector.by !== "tag") return;
    const set = this.#keys.tag(selector.tag);
    try {
      let cursor = "0";
      do {
        const [next, members] = (await this.#engine.call(WRITE_MS, "SSCAN", set, cursor, "COUNT", SCAN_COUNT)) as [
          Buffer,
          Buffer[],
        ];
        for (const member of members) this.drop(String(member), "", "");
        cursor = String(next);
      } while (cursor !== "0");
      await this.#engine.call(WRITE_MS, "UNLINK", set);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
    }
  }

  /** Writes a response by and by, or not, when too much waits already. */
  write(write: SharedWrite): void {
    const giveUp = () => {
      write.lease?.pass(); // the next one's would hardly fare better, and nobody need wait for it
      this.#dropped(write);
    };
    const mayWrite = this.#standing.isJoined && write.liveMs > 0 && write.bodyBytes <= SHARED_BODY_BYTES_MAX;
    const rests = this.#options.monotonicMs() < this.#restsUntilMs;
    if (!mayWrite || rests || !this.#queue.add(write.bodyBytes, () => this.#write(write, giveUp), giveUp)) giveUp();
  }

  /** A response of which only the description is another now: a validation has renewed it. `done`: it is written. */
  renew(entry: Entry, renewal: SharedRenewal): void {
    const { filledAfter, description, liveMs, lease, done } = renewal;
    if (!this.#standing.isJoined || liveMs <= 0) return void lease?.release();
    const now = this.#standing.toEngineMs(this.#options.nowMs());
    const renewed = { ...entry, filledAfter, description, writtenAtMs: now, expiresAtMs: now + liveMs };
    const hash = this.#keys.hashOf(entry.key);
    const written = this.#commit(hash, entry.variant, encodeEntry(renewed), liveMs, lease, entry.body);
    this.#unheard(
      written.then((isThere) => {
        if (isThere !== 1) return lease?.release(); // another body has taken its place
        lease?.ended();
        return done(renewed);
      }),
    );
    written.catch(() => lease?.release());
  }

  close(): void {
    this.#queue.close();
  }

  #dropped(write: SharedWrite): void {
    write.lease?.release();
    this.#options.count("sharedDropped");
    write.done(undefined);
  }

  async #write(write: SharedWrite, giveUp: () => void): Promise<void> {
    const { key, bodyBytes, liveMs, lease } = write;
    const hash = this.#keys.hashOf(key);
    const body = newToken();
    const sums = new BigUint64Array(chunksOf(bodyBytes));
    if (!this.#standing.isJoined || this.#options.monotonicMs() < this.#restsUntilMs) return giveUp();
    try {
      for (let index = 0; index < sums.length; index++) {
        if (!write.isWanted()) return this.#dropped(write);
        const chunk = Buffer.allocUnsafe(chunkBytes({ bodyBytes }, index));
        await write.read(index * CHUNK_BYTES, chunk);
        sums[index] = checksum(chunk);
        await this.#engine.call(
          WRITE_MS,
          "SET",
          this.#keys.chunk(hash, body, index),
          chunk,
          "PX",
          Math.ceil(liveMs + GRACE_MS),
        );
      }
      if (!write.isWanted()) return this.#dropped(write);
      const now = this.#standing.toEngineMs(this.#options.nowMs());
      const { filledAfter } = write;
      const description = write.describe();
      const entry = {
        key,
        body,
        bodyBytes,
        filledAfter,
        sums,
        description,
        writtenAtMs: now,
        expiresAtMs: now + liveMs,
      };
      const variant = this.#keys.variantOf(write.varyKey);
      await this.#commit(hash, variant, encodeEntry(entry), liveMs, lease, "");
      lease?.ended();
      for (const tag of write.tags)
        this.#unheard(this.#engine.run(WRITE_MS, TAG, [this.#keys.tag(tag)], hash, Math.ceil(liveMs), TAG_MEMBERS_MAX));
      this.#options.count("sharedWrites");
      this.#options.count("sharedWrittenBytes", bodyBytes);
      write.done({ ...entry, variant });
    } catch (error) {
      if (error instanceof EngineError) this.#rest(error);
      giveUp();
    }
  }

  /** @param renews The body that the variant has to have already; "" for a new one. */
  #commit(
    hash: string,
    variant: string,
    value: Buffer,
    liveMs: number,
    lease: Lease | undefined,
    renews: string,
  ): Promise<unknown> {
    const keys = [this.#keys.metadata(hash), lease?.key ?? this.#keys.lease(hash, variant)];
    const prefix = this.#keys.chunks(hash);
    const ms = Math.ceil(liveMs);
    return this.#engine.run(
      WRITE_MS,
      COMMIT,
      keys,
      variant,
      value,
      ms,
      prefix,
      GRACE_MS,
      VARIANTS_MAX,
      lease?.token ?? "",
      renews,
    );
  }

  /** Something that nobody waits for; should it fail, the next one who looks finds out. */
  #unheard(said: Promise<unknown>): void {
    said.catch((error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
      this.#options.count("sharedFailures");
    });
  }

  /** A write has failed: what comes next would fare no better. */
  #rest(error: EngineError): void {
    const nowMs = this.#options.monotonicMs();
    const isRested = nowMs > this.#restsUntilMs;
    if (error.code === "ERR_ENGINE_FULL") {
      this.#restsUntilMs = nowMs + REST_MS;
      const advice = "give it room, or a maxmemory-policy that evicts";
      if (isRested) this.#options.log("warn", `${error.message}. Nothing is written to it for a while; ${advice}`);
    } else if (error.code === "ERR_ENGINE_SLOW" && isRested) {
      this.#restsUntilMs = nowMs + REST_MS;
      this.#engine.reconnect(); // or chunks that nobody wants any more pile up on their way out
    }
  }
}
