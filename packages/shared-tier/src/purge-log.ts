import { describeAddress, type SharedAddress } from "./address.ts";
import { type Applied, AppliedPurges, type Count } from "./applied-purges.ts";
import { Engine, EngineError } from "./engine.ts";
import type { SharedKeys } from "./keys.ts";
import {
  BEGINNING,
  LOG_ENTRIES_MAX,
  type LogEntry,
  type LoggedPurge,
  logEntryOf,
  payloadOf,
  type WantedPurge,
} from "./log-entry.ts";
import { type LogPosition, type LogPositionFile, NOWHERE, withUnsent } from "./log-position.ts";
import { LogPresence, type NodePosition } from "./log-presence.ts";
import { APPEND, JOIN } from "./log-scripts.ts";
import type { LogState } from "./log-state.ts";
import { newToken } from "./token.ts";

/** What the log has this node do. Everything is awaited before the next call. */
export interface PurgeLogHost {
  /** Purges that are applied already: nothing that was filled before them is to be taken from the engine. */
  recall(purges: readonly LoggedPurge[]): Promise<void>;
  /** Nothing filled before this number is to be taken from the engine. */
  forgetBefore(sequence: number): Promise<void>;
  /**
   * Applies a purge to all that the node stores, and resolves when nobody gets any of it any more; `count` is how much that was, when all of it has
   * been seen. `sequence` 0: a purge that is not in the log yet.
   */
  apply(purge: LoggedPurge): Promise<Applied>;
  /** Called with each change. */
  tell(state: LogState): void;
  /** Called with where all nodes are, about once a second while it is known. */
  meet(nodes: readonly NodePosition[]): void;
}

/** What became of a purge. */
export interface PurgeOutcome extends Count {
  /** Names of the nodes that had applied it when the answer was given, and of those that had not: they will before they serve from the engine again. */
  applied: string[];
  missing: string[];
}

type Log = (level: "info" | "warn" | "error", message: string) => void;

const PAGE_ENTRIES = 1_000;
const BEAT_MS = 1_000;
/** An engine that has nothing to say is asked again after this; that the way to it is lost shows at the signs of life. */
const BLOCK_MS = 20_000;
/** The clocks of engine and node are compared anew each second, no better than this. */
const CLOCK_NOISE_MS = 5;
/** The engine may be slow here: no client waits for it. */
const PATIENCE_MS = 2_000;
const REJOIN_MS = 200;
/** How long a start waits for the log: what is on disk may have been purged meanwhile. */
const START_WAIT_MS = 3_000;
const ACK_DEADLINE_MS = 2_000;
/** The node is cut off when it has heard nothing for so long. */
const SILENCE_MS = 2_500;
/**
 * One node's end of the purge log: applies every purge of the deployment in order, once, over restarts; replays what it missed; says to the others how far it
 * is. There is one for each node, whatever the number of its threads.
 */
export class PurgeLog {
  readonly node: string;
  readonly #keys: SharedKeys;
  readonly #host: PurgeLogHost;
  readonly #file: LogPositionFile;
  readonly #log: Log;
  readonly #where: string;
  /** A blocking read holds its connection: what is said goes over another. */
  readonly #reader: Engine;
  readonly #writer: Engine;
  readonly #joinedOnce = Promise.withResolvers<void>();
  readonly #presence: LogPresence;
  readonly #applied = new AppliedPurges();
  #position: LogPosition;
  /** What the last attempt to join has failed at. */
  #trouble = "";
  #isRecalled = false;
  /** Settles when everything applied has gone through all that is stored. */
  #unfinished: Promise<void> = Promise.resolve();
  #state: LogState;
  #hasTold = false;
  #newest = 0;
  #heardAtMs = 0;
  /** Since when the log is known to have what has not come yet. */
  #owedSinceMs: number | undefined;
  #isListening = false;
  #isClosed = false;
  readonly #beat: Timer;
  readonly #running: Promise<void>;

  constructor(options: {
    address: SharedAddress;
    keys: SharedKeys;
    /** Unlike any other node's of the deployment. */
    node: string;
    host: PurgeLogHost;
    file: LogPositionFile;
    log: Log;
  }) {
    this.node = options.node;
    this.#keys = options.keys;
    this.#host = options.host;
    this.#file = options.file;
    this.#log = options.log;
    this.#where = describeAddress(options.address);
    this.#position = options.file.read();
    this.#state = {
      isJoined: false,
      sequence: this.#position.sequence,
      validFrom: this.#position.validFrom,
      newest: 0,
      behind: 0,
      nodes: 1,
      clockOffsetMs: 0,
      unsent: this.#position.unsent.length,
    };
    this.#reader = new Engine(options.address);
    this.#writer = new Engine(options.address);
    this.#presence = new LogPresence({
      engine: this.#writer,
      keys: options.keys,
      node: options.node,
      meet: (nodes) => this.#host.meet(nodes),
      warn: (message) => this.#log("warn", message),
    });
    this.#running = this.#run();
    this.#beat = setInterval(() => {
      if (performance.now() - this.#heardAtMs > SILENCE_MS) this.#leave(awayError(this.#where).message);
      void this.#sayWhere();
    }, BEAT_MS);
  }

  get state(): LogState {
    return this.#state;
  }

  /** Resolves when all purges that this node has missed are applied; or, after a while, when the log can not be read: the node then begins alone. */
  async started(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, START_WAIT_MS);
    await Promise.race([this.#joinedOnce.promise, late]);
    clearTimeout(timer);
    if (this.#state.isJoined) return;
    const why = this.#trouble === "" ? `Cannot read the purge log at ${this.#where} yet` : this.#trouble;
    this.#log("warn", `${why}. This node begins alone, and tries again`);
    this.#say({ isJoined: false });
  }

  /** Has every node apply a purge, this one first; waits for the others, not for ever. */
  async purge(purge: WantedPurge): Promise<PurgeOutcome> {
    const deadlineMs = performance.now() + ACK_DEADLINE_MS;
    const appended = await this.#append(purge);
    if (appended === undefined) return await this.#purgeAlone(purge);
    const { count } = await appended.applied;
    const [found, nodes] = await Promise.all([count, this.#presence.acknowledged(appended.sequence, deadlineMs)]);
    return { ...found, ...nodes };
  }

  /** Says good-bye: nobody waits for this node any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#beat);
    await this.#presence.end();
    this.#reader.close();
    this.#writer.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await Promise.all([this.#reader.connected(PATIENCE_MS), this.#writer.connected(PATIENCE_MS)]);
        if (this.#isClosed) return;
        await this.#join();
        while (this.#state.isJoined) await this.#follow();
      } catch (error) {
        if (this.#isClosed) return;
        if (!(error instanceof EngineError)) throw error;
        this.#trouble = error.message;
        this.#leave(error.message);
        await Bun.sleep(REJOIN_MS);
      }
    }
  }

  async #join(): Promise<void> {
    const { sequence, id } = this.#position;
    const begin = [Date.now() * 1000, newToken(), JSON.stringify(BEGINNING), LOG_ENTRIES_MAX] as const;
    const reply = await this.#reader.run(PATIENCE_MS, JOIN, [this.#keys.log], sequence, id, ...begin);
    const [how, newest] = (reply as Buffer[]).map(String) as [string, string];
    this.#newest = Number(newest);
    if (how !== "same" || !this.#isRecalled) await this.#recall(how === "same" ? sequence : this.#newest);
    if (how !== "same") await this.#beginAt(this.#newest, how);
    await this.#sendUnsent();
    while ((await this.#replay()) > 0);
    this.#heardAtMs = performance.now();
    await this.#beatNow();
    const wasJoined = this.#state.isJoined;
    this.#say({ isJoined: true });
    this.#joinedOnce.resolve();
    if (!wasJoined) this.#log("info", `Joined the shared tier at ${this.#where} as ${this.node}`);
  }

  /** Learns of the purges up to `until` that the log still knows: they have been applied here, or what they are about has to be validated anyway. */
  async #recall(until: number): Promise<void> {
    let from = "-";
    for (let isFirst = true; ; isFirst = false) {
      const page = await this.#read(from, String(until));
      const [oldest] = page;
      if (oldest === undefined) break;
      if (isFirst) await this.#host.forgetBefore(oldest.purge === undefined ? oldest.sequence : oldest.sequence - 1);
      await this.#host.recall(page.flatMap(({ purge }) => purge ?? []));
      for (const { purge, sequence } of page) if (purge === undefined) await this.#host.forgetBefore(sequence);
      from = `(${page.at(-1)!.sequence}-0`;
    }
    this.#isRecalled = true;
  }

  /** What this node stores may have been purged without its knowledge: from now on it is validated first. */
  async #beginAt(sequence: number, how: string): Promise<void> {
    const [entry] = await this.#read(String(sequence), String(sequence));
    const isNew = this.#position === NOWHERE || this.#position.sequence === 0;
    this.#moveTo({ ...this.#position, sequence, id: entry?.id ?? "", validFrom: sequence });
    if (isNew) return;
    const why = how === "trimmed" ? "is trimmed beyond what this node had applied" : "has a new beginning";
    this.#log(
      "warn",
      `The purge log at ${this.#where} ${why}: everything stored before is validated before it is used`,
    );
  }

  /** Waits for news and applies them. */
  async #follow(): Promise<void> {
    const args = ["COUNT", 1, "BLOCK", BLOCK_MS, "STREAMS", this.#keys.log, `${this.#position.sequence}-0`];
    this.#isListening = true;
    const news = await this.#reader.call(BLOCK_MS + PATIENCE_MS, "XREAD", ...args).finally(() => {
      this.#isListening = false;
    });
    if (news !== null) while ((await this.#replay()) > 0);
  }

  /** Applies a page of what is behind this node's position; returns how many entries that was. */
  async #replay(): Promise<number> {
    const { sequence, id } = this.#position;
    const [here, ...entries] = await this.#read(`${sequence}`, "+");
    // The log was replaced by another one (a failover that lost entries, a flush): to join anew finds out.
    if (here?.sequence !== sequence || here.id !== id) throw awayError(this.#where);
    for (const entry of entries) {
      await this.#apply(entry);
      this.#owedSinceMs = undefined;
      this.#newest = Math.max(this.#newest, entry.sequence);
    }
    if (entries.length > 0) void this.#sayWhere();
    return entries.length;
  }

  async #apply({ sequence, id, purge }: LogEntry): Promise<void> {
    const position = { ...this.#position, sequence, id };
    if (purge === undefined) {
      await this.#host.forgetBefore(sequence);
      this.#moveTo({ ...position, validFrom: sequence });
      return;
    }
    const applied = await this.#host.apply(purge);
    this.#position = position;
    this.#say({});
    this.#applied.add(sequence, applied);
    this.#persistAfter(applied);
  }

  /** Another life need not apply what has gone through all that is stored. What fails there is told where it was asked for. */
  #persistAfter({ count }: Applied): void {
    const before = this.#unfinished;
    const done = Promise.allSettled([before, count]).then(() => {
      if (this.#unfinished === done) this.#persist();
    });
    this.#unfinished = done;
  }

  async #read(from: string, to: string): Promise<LogEntry[]> {
    const reply = await this.#reader.call(PATIENCE_MS, "XRANGE", this.#keys.log, from, to, "COUNT", PAGE_ENTRIES);
    return (reply as [Buffer, Buffer[]][]).map(logEntryOf);
  }

  /** Undefined when the engine is away. */
  async #append(purge: WantedPurge): Promise<{ sequence: number; applied: Promise<Applied> } | undefined> {
    if (!this.#state.isJoined) return undefined;
    let reply: unknown;
    try {
      reply = await this.#writer.run(
        PATIENCE_MS,
        APPEND,
        [this.#keys.log],
        newToken(),
        payloadOf(purge),
        LOG_ENTRIES_MAX,
      );
    } catch {
      return undefined; // it may have arrived all the same: then it is applied twice
    }
    if (reply === null) {
      this.#leave(awayError(this.#where).message);
      return undefined;
    }
    const sequence = Number(reply);
    return { sequence, applied: this.#appliedInTime(purge, sequence) };
  }

  /** The log's own way is the rule; should the connection be lost over it, the purge is not left waiting for that. */
  async #appliedInTime({ selectors, soft }: WantedPurge, sequence: number): Promise<Applied> {
    const known = await this.#applied.of(sequence, ACK_DEADLINE_MS);
    return known ?? (await this.#host.apply({ selectors, soft, sequence: 0 }));
  }

  async #purgeAlone(purge: WantedPurge): Promise<PurgeOutcome> {
    const { count } = await this.#host.apply({ ...purge, sequence: 0 });
    this.#keepUnsent(purge);
    return { ...(await count), applied: [this.node], missing: this.#presence.others };
  }

  #keepUnsent({ selectors, soft }: WantedPurge): void {
    this.#moveTo({ ...this.#position, unsent: withUnsent(this.#position.unsent, { selectors, soft }) });
  }

  async #sendUnsent(): Promise<void> {
    for (const purge of this.#position.unsent) {
      const payload = JSON.stringify(purge);
      await this.#writer.run(PATIENCE_MS, APPEND, [this.#keys.log], newToken(), payload, LOG_ENTRIES_MAX);
      this.#moveTo({ ...this.#position, unsent: this.#position.unsent.slice(1) });
    }
  }

  async #sayWhere(): Promise<void> {
    try {
      await this.#beatNow();
    } catch (error) {
      if (error instanceof EngineError) this.#leave(error.message);
      else throw error;
    }
  }

  async #beatNow(): Promise<void> {
    const { newest, isSameLog, nodes, clockOffsetMs } = await this.#presence.beat(this.#position);
    // Nothing new may come to show that: to join anew finds out.
    if (!isSameLog) throw awayError(this.#where);
    this.#heardAtMs = performance.now();
    this.#newest = newest;
    this.#lookWhatIsOwed();
    const isSameClock = Math.abs(clockOffsetMs - this.#state.clockOffsetMs) < CLOCK_NOISE_MS;
    this.#say({ nodes, ...(!isSameClock && { clockOffsetMs }) });
  }

  /** What is in the log comes by itself, soon; if not, its connection is of no use any more, though nobody has closed it. */
  #lookWhatIsOwed(): void {
    if (this.#newest <= this.#position.sequence) this.#owedSinceMs = undefined;
    else this.#owedSinceMs ??= performance.now();
    const owedMs = this.#owedSinceMs === undefined ? 0 : performance.now() - this.#owedSinceMs;
    if (this.#isListening && owedMs > SILENCE_MS) throw awayError(this.#where);
  }

  #leave(why: string): void {
    if (this.#isClosed) return;
    if (!this.#state.isJoined) return;
    this.#log("warn", `Cut off from the shared tier: ${why}. This node goes on alone, and tries again`);
    this.#say({ isJoined: false });
    this.#heardAtMs = Number.NEGATIVE_INFINITY; // whatever is still under way does not count: it joins anew
    this.#reader.reconnect();
    this.#writer.reconnect();
  }

  #moveTo(position: LogPosition): void {
    this.#position = position;
    this.#persist();
    this.#say({});
  }

  #persist(): void {
    try {
      this.#file.write(this.#position);
    } catch (error) {
      this.#log(
        "error",
        `Cannot keep the position in the purge log: ${String(error)}. After a restart everything stored is validated`,
      );
    }
  }

  #say(change: Partial<LogState>): void {
    const { sequence, validFrom, unsent } = this.#position;
    const behind = Math.max(0, this.#newest - sequence);
    const newest = this.#newest;
    const state = { ...this.#state, sequence, validFrom, newest, behind, unsent: unsent.length, ...change };
    const isNews = !this.#hasTold || !Bun.deepEquals(state, this.#state);
    this.#state = state;
    this.#hasTold = true;
    if (isNews) this.#host.tell(state);
  }
}

function awayError(where: string): EngineError {
  return new EngineError(
    "ERR_ENGINE_AWAY",
    `Cannot follow the purge log at ${where}: it is not the one that was read, or nothing is heard`,
  );
}
