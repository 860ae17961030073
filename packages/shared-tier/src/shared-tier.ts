import { randomBytes } from "node:crypto";
import { describeAddress, type SharedAddress } from "./address.ts";
import { Announcements } from "./announcements.ts";
import { Breaker } from "./breaker.ts";
import { Engine, EngineError } from "./engine.ts";
import { CHUNK_BYTES, checksum, chunkBytes, chunksOf, decodeEntry, type Entry, encodeEntry, isChunk } from "./entry.ts";
import { SharedKeys } from "./keys.ts";
import { LEASE_MS, Lease, PASS } from "./lease.ts";
import { APPEND } from "./log-scripts.ts";
import { type LoggedSelector, PurgeIndex, type SelectorTest } from "./purge-index.ts";
import { LOG_ENTRIES_MAX, type LogState } from "./purge-log.ts";
import { COMMIT, DROP, LEASE, LOOK_UP, RENEW, TAG } from "./tier-scripts.ts";
import { WriteQueue } from "./write-queue.ts";

export type SharedCounter =
  | "sharedLookups"
  | "sharedLookupMicros"
  | "sharedFailures"
  | "sharedBroken"
  | "sharedWrites"
  | "sharedDropped"
  | "sharedReadBytes"
  | "sharedWrittenBytes";

export interface SharedTierOptions {
  readonly address: SharedAddress;
  /** Two deployments of different names never meet. */
  readonly deployment: string;
  /** What the engine may take to answer a look-up, in ms, before the origin is asked instead. */
  readonly budgetMs: number;
  readonly count: (counter: SharedCounter, amount?: number) => void;
  readonly log: (level: "info" | "warn", message: string) => void;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

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

/** Who asks the origin. `us`: this node, until the lease is over. `other`: wait. `pass`: everybody for himself. `nobody`: it was not asked. */
export type LeaseOutcome = { kind: "us"; lease: Lease } | { kind: "other" } | { kind: "pass" } | { kind: "nobody" };

export interface LookUp {
  readonly entries: readonly Entry[];
  readonly lease: LeaseOutcome;
}

/** Longer bodies are not shared. */
export const SHARED_BODY_BYTES_MAX = 256 * 1024 * 1024;
/** A chunk may take longer than a look-up by what it takes at 16 MiB/s. */
const CHUNK_EXTRA_MS = 32;
/** Bodies up to this length come with the answer to the look-up. */
const ALONG_BYTES_MAX = 64 * 1024;
const WRITE_MS = 2_000;
/** Chunks outlive their metadata by this; those of a replaced body live so long. */
const GRACE_MS = 60_000;
const VARIANTS_MAX = 64;
const TAG_MEMBERS_MAX = 65_536;
const REST_MS = 1_000;
const PROBE_EVERY_MS = 50;
const SCAN_COUNT = 500;

/** What the nodes of a deployment share, as one thread of one of them uses it. It never throws because of the engine: what does not come in time is a miss. */
export class SharedTier {
  readonly keys: SharedKeys;
  readonly #options: SharedTierOptions;
  readonly #where: string;
  readonly #reader: Engine;
  /** Chunks on their way out hold up no look-up. */
  readonly #writer: Engine;
  readonly #queue = new WriteQueue();
  readonly #breakers = new Map<string, { readonly breaker: Breaker; key: string }>();
  readonly #hard = new PurgeIndex();
  readonly #soft = new PurgeIndex();
  /** Runs while a server is left alone. */
  #probes: Timer | undefined;
  readonly #announcements: Announcements;
  #isClosed = false;
  #state: LogState | undefined;
  /** Nothing is written until then. */
  #restsUntilMs = 0;

  constructor(options: SharedTierOptions) {
    this.#options = options;
    this.keys = new SharedKeys(options.deployment);
    this.#where = describeAddress(options.address);
    this.#reader = new Engine(options.address);
    this.#writer = new Engine(options.address);
    this.#announcements = new Announcements((entry) =>
      this.#writer.run(WRITE_MS, APPEND, [this.keys.log], newToken(), JSON.stringify(entry), LOG_ENTRIES_MAX),
    );
  }

  /** What the node's end of the purge log says. */
  hear(state: LogState): void {
    this.#state = state;
    if (state.isJoined) this.#announcements.sendWaiting();
  }

  /** The number of the last purge that this node has applied; a fill that begins now brings nothing that it, or an earlier one, has purged. */
  get sequence(): number {
    return this.#state?.sequence ?? 0;
  }

  get isJoined(): boolean {
    return this.#state?.isJoined === true;
  }

  /** How many of the engine's servers are left alone just now. */
  get openBreakers(): number {
    let open = 0;
    for (const { breaker } of this.#breakers.values()) if (breaker.isOpen) open++;
    return open;
  }

  /**
   * A request has changed what `selector` names: where somebody may store it every node is told, by and by.
   *
   * @param wasStored This node has had it stored; if not, the engine is asked whether it has.
   */
  changed(selector: LoggedSelector, wasStored: boolean): void {
    if (wasStored || selector.by !== "key" || !this.isJoined) return this.#announce(selector);
    void this.#holds(selector.key).then((isHeld) => {
      if (isHeld !== false) this.#announce(selector);
    });
  }

  /** From now on nothing comes back that this purge concerns. @param matches The test that the selector stands for. */
  purged(selector: LoggedSelector, matches: SelectorTest, soft: boolean, sequence: number): void {
    (soft ? this.#soft : this.#hard).add(selector, matches, sequence);
  }

  /** This node has applied the purge with that number, and all before. */
  applied(sequence: number): void {
    if (this.#state !== undefined) this.#state = { ...this.#state, sequence: Math.max(this.#state.sequence, sequence) };
  }

  forgetBefore(sequence: number): void {
    this.#hard.purgeAll(sequence);
  }

  /** What purges say of a response that is in the engine. */
  verdictOn(key: string, tags: readonly string[], filledAfter: number): "purged" | "stale" | "good" {
    if (this.#hard.concerns(key, tags, filledAfter)) return "purged";
    return this.#soft.concerns(key, tags, filledAfter) ? "stale" : "good";
  }

  /** The engine's clock at a moment of this node's, and back. */
  toEngineMs(localMs: number): number {
    return localMs + (this.#state?.clockOffsetMs ?? 0);
  }

  toLocalMs(engineMs: number): number {
    return engineMs - (this.#state?.clockOffsetMs ?? 0);
  }

  /**
   * All variants that the engine holds of a key; where it holds nothing, also who is to ask the origin. Undefined: the engine is not asked just now, or has not
   * answered in time.
   */
  async lookUp(key: string): Promise<LookUp | undefined> {
    const hash = this.keys.hashOf(key);
    const metadata = this.keys.metadata(hash);
    const leaseKey = this.keys.lease(hash, this.keys.variantOf(""));
    const token = newToken();
    const reply = await this.#ask(metadata, this.#options.budgetMs, (ms) =>
      this.#reader.run(ms, LOOK_UP, [metadata, leaseKey], token, LEASE_MS, this.keys.chunks(hash), ALONG_BYTES_MAX),
    );
    if (reply === undefined) return undefined;
    const [values, holder, along] = reply as [Buffer[], Buffer, Buffer | null | undefined];
    const entries = this.#decode(hash, key, values);
    const lease = this.#leaseOf(leaseKey, token, String(holder));
    if (entries.length !== 1 || !along) return { entries, lease };
    return { entries: [{ ...entries[0]!, comesAlong: along }], lease };
  }

  /** Undefined: the engine was not asked, or has not answered in time. */
  async lease(key: string, varyKey: string): Promise<LeaseOutcome | undefined> {
    const leaseKey = this.keys.lease(this.keys.hashOf(key), this.keys.variantOf(varyKey));
    const token = newToken();
    const reply = await this.#ask(leaseKey, this.#options.budgetMs, (ms) =>
      this.#reader.run(ms, LEASE, [leaseKey], token, LEASE_MS),
    );
    return reply === undefined ? undefined : this.#leaseOf(leaseKey, token, String(reply));
  }

  /** Undefined: it is gone, is not what was written, or has not come in time. */
  async readChunk(entry: Entry, index: number): Promise<Uint8Array | undefined> {
    const name = this.keys.chunk(this.keys.hashOf(entry.key), entry.body, index);
    if (entry.comesAlong !== undefined) return this.#checked(entry, index, entry.comesAlong);
    const reply = await this.#ask(name, this.#options.budgetMs + CHUNK_EXTRA_MS, (ms) =>
      this.#reader.call(ms, "GET", name),
    );
    if (reply === undefined) return undefined;
    return this.#checked(entry, index, reply as Buffer | null);
  }

  #checked(entry: Entry, index: number, chunk: Uint8Array | null): Uint8Array | undefined {
    if (chunk !== null && isChunk(entry, index, chunk)) {
      this.#options.count("sharedReadBytes", chunk.length);
      return chunk;
    }
    if (chunk !== null) this.#broken(`chunk ${index} of ${entry.key}`);
    this.drop(entry);
    return undefined;
  }

  /** Takes one variant out of the engine, by and by, unless another has taken its place. */
  drop(entry: Entry): void {
    const hash = this.keys.hashOf(entry.key);
    this.#say(
      this.#writer.run(
        WRITE_MS,
        DROP,
        [this.keys.metadata(hash)],
        this.keys.chunks(hash),
        GRACE_MS,
        entry.variant,
        entry.body,
      ),
    );
  }

  /** Takes whatever is under a variant out of the engine, by and by: the origin has said that nobody is to have it any more. */
  dropVariant(key: string, varyKey: string): void {
    const hash = this.keys.hashOf(key);
    const variant = this.keys.variantOf(varyKey);
    this.#say(
      this.#writer.run(WRITE_MS, DROP, [this.keys.metadata(hash)], this.keys.chunks(hash), GRACE_MS, variant, ""),
    );
  }

  /** Makes room of what a purge concerns, as far as it is known by name: what stays is not given out any more, and goes in time. */
  async makeRoom(selector: LoggedSelector): Promise<void> {
    if (selector.by === "key") this.#dropHash(this.keys.hashOf(selector.key));
    if (selector.by !== "tag") return;
    const set = this.keys.tag(selector.tag);
    try {
      let cursor = "0";
      do {
        const [next, members] = (await this.#writer.call(WRITE_MS, "SSCAN", set, cursor, "COUNT", SCAN_COUNT)) as [
          Buffer,
          Buffer[],
        ];
        for (const member of members) this.#dropHash(String(member));
        cursor = String(next);
      } while (cursor !== "0");
      await this.#writer.call(WRITE_MS, "UNLINK", set);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
    }
  }

  /** Whether the engine has anything under a key; undefined when it does not say. */
  async #holds(key: string): Promise<boolean | undefined> {
    const metadata = this.keys.metadata(this.keys.hashOf(key));
    const reply = await this.#ask(metadata, this.#options.budgetMs, (ms) => this.#reader.call(ms, "EXISTS", metadata));
    return reply === undefined ? undefined : reply === 1;
  }

  /** Writes a response by and by, or not, when too much waits already. */
  write(write: SharedWrite): void {
    const giveUp = () => {
      write.lease?.pass(); // the next one's would hardly fare better, and nobody need wait for it
      this.#dropped(write);
    };
    const mayWrite = this.isJoined && write.liveMs > 0 && write.bodyBytes <= SHARED_BODY_BYTES_MAX;
    const rests = this.#options.monotonicMs() < this.#restsUntilMs;
    if (!mayWrite || rests || !this.#queue.add(write.bodyBytes, () => this.#write(write, giveUp), giveUp)) giveUp();
  }

  /** A response of which only the description is another now: a validation has renewed it. `done`: it is written. */
  renew(entry: Entry, renewal: SharedRenewal): void {
    const { filledAfter, description, liveMs, lease, done } = renewal;
    if (!this.isJoined || liveMs <= 0) return void lease?.release();
    const now = this.toEngineMs(this.#options.nowMs());
    const renewed = { ...entry, filledAfter, description, writtenAtMs: now, expiresAtMs: now + liveMs };
    const hash = this.keys.hashOf(entry.key);
    const written = this.#commit(hash, entry.variant, encodeEntry(renewed), liveMs, lease, entry.body);
    this.#say(
      written.then((isThere) => {
        if (isThere !== 1) return lease?.release(); // another body has taken its place
        lease?.ended();
        return done(renewed);
      }),
    );
    written.catch(() => lease?.release());
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#probes);
    this.#announcements.close();
    this.#queue.close();
    this.#reader.close();
    this.#writer.close();
  }

  #dropped(write: SharedWrite): void {
    write.lease?.release();
    this.#options.count("sharedDropped");
    write.done(undefined);
  }

  async #write(write: SharedWrite, giveUp: () => void): Promise<void> {
    const { key, bodyBytes, liveMs, lease } = write;
    const hash = this.keys.hashOf(key);
    const body = newToken();
    const sums = new BigUint64Array(chunksOf(bodyBytes));
    if (!this.isJoined || this.#options.monotonicMs() < this.#restsUntilMs) return giveUp();
    try {
      for (let index = 0; index < sums.length; index++) {
        if (!write.isWanted()) return this.#dropped(write);
        const chunk = Buffer.allocUnsafe(chunkBytes({ bodyBytes }, index));
        await write.read(index * CHUNK_BYTES, chunk);
        sums[index] = checksum(chunk);
        await this.#writer.call(
          WRITE_MS,
          "SET",
          this.keys.chunk(hash, body, index),
          chunk,
          "PX",
          Math.ceil(liveMs + GRACE_MS),
        );
      }
      if (!write.isWanted()) return this.#dropped(write);
      const now = this.toEngineMs(this.#options.nowMs());
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
      const variant = this.keys.variantOf(write.varyKey);
      await this.#commit(hash, variant, encodeEntry(entry), liveMs, lease, "");
      lease?.ended();
      for (const tag of write.tags)
        this.#say(this.#writer.run(WRITE_MS, TAG, [this.keys.tag(tag)], hash, Math.ceil(liveMs), TAG_MEMBERS_MAX));
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
    const keys = [this.keys.metadata(hash), lease?.key ?? this.keys.lease(hash, variant)];
    const prefix = this.keys.chunks(hash);
    const ms = Math.ceil(liveMs);
    return this.#writer.run(
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

  /** Has every node apply a hard purge, by and by. */
  #announce(selector: LoggedSelector): void {
    void this.makeRoom(selector);
    this.#announcements.purged(selector);
  }

  #decode(hash: string, key: string, values: readonly Buffer[]): Entry[] {
    const now = this.toEngineMs(this.#options.nowMs());
    const entries: Entry[] = [];
    for (let index = 0; index < values.length; index += 2) {
      const variant = String(values[index]);
      const entry = decodeEntry(variant, values[index + 1]!);
      if (entry === undefined) {
        this.#broken(`the metadata of ${key}`);
        this.#say(
          this.#writer.run(WRITE_MS, DROP, [this.keys.metadata(hash)], this.keys.chunks(hash), GRACE_MS, variant, ""),
        );
      } else if (entry.key === key && entry.expiresAtMs > now) entries.push(entry);
    }
    return entries;
  }

  #leaseOf(key: string, token: string, holder: string): LeaseOutcome {
    if (holder === "") return { kind: "nobody" };
    if (holder === PASS) return { kind: "pass" };
    if (holder !== token) return { kind: "other" };
    const renew = (lease: Lease, value: string, ms: number) =>
      this.#say(this.#writer.run(WRITE_MS, RENEW, [lease.key], lease.token, value, ms));
    return { kind: "us", lease: new Lease(key, token, renew) };
  }

  #dropHash(hash: string): void {
    this.#say(this.#writer.run(WRITE_MS, DROP, [this.keys.metadata(hash)], this.keys.chunks(hash), GRACE_MS, "", ""));
  }

  /** Something that nobody waits for; should it fail, the next one who looks finds out. */
  #say(said: Promise<unknown>): void {
    said.catch((error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
      this.#options.count("sharedFailures");
    });
  }

  /** Asks the server that answers for `key`, if it has answered lately. */
  async #ask(
    key: string,
    timeoutMs: number,
    ask: (timeoutMs: number) => Promise<unknown>,
  ): Promise<unknown | undefined> {
    if (!this.isJoined) return undefined;
    const guard = this.#guardOf(key);
    if (guard.breaker.isOpen) return undefined;
    const startedMs = this.#options.monotonicMs();
    try {
      const answer = await ask(timeoutMs);
      guard.breaker.succeeded();
      this.#options.count("sharedLookups");
      this.#options.count("sharedLookupMicros", Math.round((this.#options.monotonicMs() - startedMs) * 1000));
      return answer;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (/WRONGTYPE/.test(error.message)) {
        // Somebody has put something else there: that says nothing of the server.
        guard.breaker.succeeded();
        this.#broken(key);
        this.#say(this.#writer.call(WRITE_MS, "UNLINK", key));
        return undefined;
      }
      guard.key = key;
      this.#failed(guard.breaker, error);
      return undefined;
    }
  }

  #failed(breaker: Breaker, error: EngineError): void {
    this.#options.count("sharedFailures");
    if (!breaker.failed(this.#options.monotonicMs(), error.code === "ERR_ENGINE_AWAY")) return;
    if (!this.#isClosed) this.#probes ??= setInterval(() => this.#probe(), PROBE_EVERY_MS);
    this.#options.log("warn", `${error.message}. It is left alone for a while, and the origin asked instead`);
  }

  #guardOf(key: string): { readonly breaker: Breaker; key: string } {
    const server = this.#reader.serverOf(key);
    const known = this.#breakers.get(server);
    if (known !== undefined) return known;
    const guard = { breaker: new Breaker(), key };
    this.#breakers.set(server, guard);
    return guard;
  }

  /** Looks whether the servers that are left alone answer again. */
  #probe(): void {
    for (const [server, guard] of this.#breakers) {
      if (!guard.breaker.isOpen) continue;
      if (this.#reader.serverOf(guard.key) !== server)
        this.#breakers.delete(server); // another one has taken its place
      else if (guard.breaker.takeProbe(this.#options.monotonicMs())) void this.#probeOne(guard);
    }
    if (this.openBreakers > 0) return;
    clearInterval(this.#probes);
    this.#probes = undefined;
  }

  async #probeOne({ breaker, key }: { readonly breaker: Breaker; key: string }): Promise<void> {
    try {
      await this.#reader.call(this.#options.budgetMs, "EXISTS", key);
      breaker.succeeded();
      this.#options.log("info", `${this.#where} answers in time again`);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      breaker.failed(this.#options.monotonicMs());
      if (error.code === "ERR_ENGINE_SLOW") this.#reader.reconnect();
    }
  }

  #broken(what: string): void {
    this.#options.count("sharedBroken");
    this.#options.log(
      "warn",
      `${what} at ${this.#where} is not what was written there. It is dropped, and fetched anew`,
    );
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
      this.#writer.reconnect(); // or chunks that nobody wants any more pile up on their way out
    }
  }
}

function newToken(): string {
  return randomBytes(8).toString("hex");
}
