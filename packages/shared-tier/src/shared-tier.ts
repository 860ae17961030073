import { describeAddress } from "./address.ts";
import { Announcements } from "./announcements.ts";
import { Engine } from "./engine.ts";
import { EngineGuard } from "./engine-guard.ts";
import { decodeEntry, type Entry, isChunk } from "./entry.ts";
import { SharedKeys } from "./keys.ts";
import { LEASE_MS, Lease, PASS } from "./lease.ts";
import { LOG_ENTRIES_MAX } from "./log-entry.ts";
import { APPEND } from "./log-scripts.ts";
import { LogStanding } from "./log-standing.ts";
import type { LogState } from "./log-state.ts";
import { type LoggedSelector, PurgeIndex, type SelectorTest } from "./purge-index.ts";
import type { SharedTierOptions } from "./shared-tier-options.ts";
import { LEASE, LOOK_UP } from "./tier-scripts.ts";
import { type SharedRenewal, type SharedWrite, TierWriter, WRITE_MS } from "./tier-writer.ts";
import { newToken } from "./token.ts";

/** Who asks the origin. `us`: this node, until the lease is over. `other`: wait. `pass`: everybody for himself. `nobody`: it was not asked. */
export type LeaseOutcome = { kind: "us"; lease: Lease } | { kind: "other" } | { kind: "pass" } | { kind: "nobody" };

export interface LookUp {
  readonly entries: readonly Entry[];
  readonly lease: LeaseOutcome;
}

/** A chunk may take longer than a look-up by what it takes at 16 MiB/s. */
const CHUNK_EXTRA_MS = 32;
/** Bodies up to this length come with the answer to the look-up. */
const ALONG_BYTES_MAX = 64 * 1024;

/** What the nodes of a deployment share, as one thread of one of them uses it. It never throws because of the engine: what does not come in time is a miss. */
export class SharedTier {
  readonly keys: SharedKeys;
  readonly #options: SharedTierOptions;
  readonly #where: string;
  readonly #reader: Engine;
  /** What nobody waits for goes over a connection of its own, so that it holds up no look-up. */
  readonly #unhurried: Engine;
  readonly #guard: EngineGuard;
  readonly #writer: TierWriter;
  readonly #standing = new LogStanding();
  readonly #hard = new PurgeIndex();
  readonly #soft = new PurgeIndex();
  readonly #announcements: Announcements;

  constructor(options: SharedTierOptions) {
    this.#options = options;
    this.keys = new SharedKeys(options.deployment);
    this.#where = describeAddress(options.address);
    this.#reader = new Engine(options.address);
    this.#unhurried = new Engine(options.address);
    this.#writer = new TierWriter(this.#unhurried, this.keys, this.#standing, options);
    this.#guard = new EngineGuard(this.#reader, {
      ...options,
      where: this.#where,
      onWrongType: (key) => {
        this.#broken(key);
        this.#writer.unlink(key);
      },
    });
    const append = (entry: object) =>
      this.#unhurried.run(WRITE_MS, APPEND, [this.keys.log], newToken(), JSON.stringify(entry), LOG_ENTRIES_MAX);
    this.#announcements = new Announcements(append, () => this.isJoined);
  }

  /** What the node's end of the purge log says. */
  hear(state: LogState): void {
    this.#standing.hear(state);
    if (state.isJoined) this.#announcements.sendWaiting();
  }

  /** The number of the last purge that this node has applied; a fill that begins now brings nothing that it, or an earlier one, has purged. */
  get sequence(): number {
    return this.#standing.sequence;
  }

  get isJoined(): boolean {
    return this.#standing.isJoined;
  }

  /** How many of the engine's servers are left alone just now. */
  get openBreakers(): number {
    return this.#guard.openCount;
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
    this.#standing.applied(sequence);
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
    return this.#standing.toEngineMs(localMs);
  }

  toLocalMs(engineMs: number): number {
    return this.#standing.toLocalMs(engineMs);
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

  /** Writes a response by and by, or not, when too much waits already. */
  write(write: SharedWrite): void {
    this.#writer.write(write);
  }

  /** A response of which only the description is another now: a validation has renewed it. */
  renew(entry: Entry, renewal: SharedRenewal): void {
    this.#writer.renew(entry, renewal);
  }

  /** Takes one variant out of the engine, by and by, unless another has taken its place. */
  drop(entry: Entry): void {
    this.#writer.drop(this.keys.hashOf(entry.key), entry.variant, entry.body);
  }

  /** Takes whatever is under a variant out of the engine, by and by: the origin has said that nobody is to have it any more. */
  dropVariant(key: string, varyKey: string): void {
    this.#writer.drop(this.keys.hashOf(key), this.keys.variantOf(varyKey), "");
  }

  /** Makes room of what a purge concerns, as far as it is known by name: what stays is not given out any more, and goes in time. */
  makeRoom(selector: LoggedSelector): Promise<void> {
    return this.#writer.makeRoom(selector);
  }

  /** Whether the engine has anything under a key; undefined when it does not say. */
  async #holds(key: string): Promise<boolean | undefined> {
    const metadata = this.keys.metadata(this.keys.hashOf(key));
    const reply = await this.#ask(metadata, this.#options.budgetMs, (ms) => this.#reader.call(ms, "EXISTS", metadata));
    return reply === undefined ? undefined : reply === 1;
  }

  close(): void {
    this.#guard.close();
    this.#announcements.close();
    this.#writer.close();
    this.#reader.close();
    this.#unhurried.close();
  }

  /** Has every node apply a hard purge, by and by. */
  #announce(selector: LoggedSelector): void {
    void this.makeRoom(selector);
    this.#announcements.purged(selector);
  }

  /** Undefined: the engine is not asked just now, or has not answered in time. */
  async #ask(
    key: string,
    timeoutMs: number,
    ask: (timeoutMs: number) => Promise<unknown>,
  ): Promise<unknown | undefined> {
    return this.isJoined ? await this.#guard.ask(key, timeoutMs, ask) : undefined;
  }

  #decode(hash: string, key: string, values: readonly Buffer[]): Entry[] {
    const now = this.toEngineMs(this.#options.nowMs());
    const entries: Entry[] = [];
    for (let index = 0; index < values.length; index += 2) {
      const variant = String(values[index]);
      const entry = decodeEntry(variant, values[index + 1]!);
      if (entry === undefined) {
        this.#broken(`the metadata of ${key}`);
        this.#writer.drop(hash, variant, "");
      } else if (entry.key === key && entry.expiresAtMs > now) entries.push(entry);
    }
    return entries;
  }

  #leaseOf(key: string, token: string, holder: string): LeaseOutcome {
    if (holder === "") return { kind: "nobody" };
    if (holder === PASS) return { kind: "pass" };
    if (holder !== token) return { kind: "other" };
    const renew = (lease: Lease, value: string, ms: number) => this.#writer.renewLease(lease, value, ms);
    return { kind: "us", lease: new Lease(key, token, renew) };
  }

  #broken(what: string): void {
    this.#options.count("sharedBroken");
    this.#options.log(
      "warn",
      `${what} at ${this.#where} is not what was written there. It is dropped, and fetched anew`,
    );
  }
}
