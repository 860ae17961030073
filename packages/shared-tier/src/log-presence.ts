import type { Engine } from "./engine.ts";
import type { SharedKeys } from "./keys.ts";
import type { LogPosition } from "./log-position.ts";
import { BEAT } from "./log-scripts.ts";
import { newToken } from "./token.ts";

/** Where a node of the deployment is in the log. */
export interface NodePosition {
  readonly name: string;
  readonly sequence: number;
  /** Since it was heard, by the engine's clock. */
  readonly silentMs: number;
}

/** What the engine says to a sign of life. */
export interface Heard {
  /** The number of the last purge in the log. */
  readonly newest: number;
  /** Whether the entry that this node stands at is still there: if not, the log was flushed or evicted, or a failover has lost entries. */
  readonly isSameLog: boolean;
  readonly nodes: number;
  /** The engine's clock less this node's. */
  readonly clockOffsetMs: number;
}

/** The engine may be slow here: no client waits for it. */
const PATIENCE_MS = 2_000;
const ACK_POLL_MS = 20;
const GOOD_BYE_MS = 200;
/** The more nodes there are, the less often each asks for all of them. */
const NODES_EVERY_MS = 10;
/** A node that has not been heard for so long is no longer waited for. */
const FORGOTTEN_MS = 24 * 60 * 60 * 1000;
/** So often it is said that two nodes have one name. */
const NAMESAKE_QUIET_MS = 60_000;

/** How nodes know of one another: each says how far it is in the log, and may ask how far the others are. */
export class LogPresence {
  readonly #engine: Engine;
  readonly #keys: SharedKeys;
  readonly #node: string;
  readonly #meet: (nodes: readonly NodePosition[]) => void;
  readonly #warn: (message: string) => void;
  /** Tells this process from another that has the same name. */
  readonly #life = newToken();
  #hasBeaten = false;
  #quietUntilMs = 0;
  #nodesDueMs = 0;
  #names: readonly string[] = [];

  /** @param options.meet Called with where all nodes are, about once a second while signs of life are given. */
  constructor(options: {
    engine: Engine;
    keys: SharedKeys;
    node: string;
    meet: (nodes: readonly NodePosition[]) => void;
    warn: (message: string) => void;
  }) {
    this.#engine = options.engine;
    this.#keys = options.keys;
    this.#node = options.node;
    this.#meet = options.meet;
    this.#warn = options.warn;
  }

  /** The other nodes, as they were last heard of. */
  get others(): string[] {
    return this.#names.filter((name) => name !== this.#node);
  }

  /** Gives a sign of life. @throws {EngineError} */
  async beat({ sequence, id }: LogPosition): Promise<Heard> {
    const sentMs = Date.now();
    const wantsNodes = performance.now() >= this.#nodesDueMs;
    const mine = [this.#node, sequence, id, this.#life, wantsNodes ? "1" : ""] as const;
    const reply = await this.#engine.run(PATIENCE_MS, BEAT, [this.#keys.nodes, this.#keys.log], ...mine);
    const [time, newest, here, count, before, all] = reply as [Buffer, Buffer, Buffer, number, Buffer, Buffer[]];
    this.#lookWhoBeats(String(before));
    if (wantsNodes) this.#learn(all, Number(time));
    return {
      newest: Number(newest),
      isSameLog: String(here) === id,
      nodes: count,
      clockOffsetMs: Number(time) - (sentMs + Date.now()) / 2,
    };
  }

  /** All nodes that the engine knows of. @throws {EngineError} */
  async nodes(): Promise<NodePosition[]> {
    const [reply, time] = await Promise.all([
      this.#engine.call(PATIENCE_MS, "HGETALL", this.#keys.nodes),
      this.#engine.call(PATIENCE_MS, "TIME"),
    ]);
    return this.#learn(reply as Buffer[], engineMs(time as Buffer[]));
  }

  /** Who has applied `sequence`, when all have, or at the deadline. */
  async acknowledged(sequence: number, deadlineMs: number): Promise<{ applied: string[]; missing: string[] }> {
    for (;;) {
      const nodes = await this.nodes().catch(() => undefined);
      const isLate = performance.now() > deadlineMs;
      if (nodes !== undefined) {
        const known = await this.#withoutForgotten(nodes);
        const applied = known.filter((node) => node.sequence >= sequence).map(({ name }) => name);
        const missing = known.filter((node) => node.sequence < sequence).map(({ name }) => name);
        if (missing.length === 0 || isLate) return { applied, missing };
      } else if (isLate) {
        return { applied: [this.#node], missing: this.others };
      }
      await Bun.sleep(ACK_POLL_MS);
    }
  }

  /** Says good-bye: nobody waits for this node any more. */
  async end(): Promise<void> {
    if (this.#engine.isConnected)
      await this.#engine.call(GOOD_BYE_MS, "HDEL", this.#keys.nodes, this.#node).catch(() => {}); // it will be forgotten
  }

  async #withoutForgotten(nodes: readonly NodePosition[]): Promise<readonly NodePosition[]> {
    const forgotten = nodes.filter(({ silentMs, name }) => silentMs > FORGOTTEN_MS && name !== this.#node);
    if (forgotten.length === 0) return nodes;
    const names = forgotten.map(({ name }) => name);
    await this.#engine.call(PATIENCE_MS, "HDEL", this.#keys.nodes, ...names).catch(() => {}); // next time
    return nodes.filter((node) => !forgotten.includes(node));
  }

  #learn(reply: readonly Buffer[], nowMs: number): NodePosition[] {
    const nodes = nodePositionsOf(reply, nowMs);
    this.#names = nodes.map(({ name }) => name);
    this.#nodesDueMs = performance.now() + nodes.length * NODES_EVERY_MS;
    this.#meet(nodes);
    return nodes;
  }

  /** @param life Which process has said so last under this node's name; "" when none has. */
  #lookWhoBeats(life: string): void {
    const isOther = this.#hasBeaten && life !== "" && life !== this.#life;
    this.#hasBeaten = true;
    if (!isOther || performance.now() < this.#quietUntilMs) return;
    this.#quietUntilMs = performance.now() + NAMESAKE_QUIET_MS;
    this.#warn(
      `Another node of the deployment calls itself ${this.#node}, too: whether both have applied a purge is not known. Give each a name of its own (--node)`,
    );
  }
}

/** What the engine keeps of the nodes, names and values in turns, in the order of their names. */
export function nodePositionsOf(reply: readonly Buffer[], nowMs: number): NodePosition[] {
  const nodes: NodePosition[] = [];
  for (let index = 0; index < reply.length; index += 2) {
    const [sequence = 0, heardMs = 0] = String(reply[index + 1])
      .split(" ")
      .map(Number);
    nodes.push({ name: String(reply[index]), sequence, silentMs: Math.max(0, nowMs - heardMs) });
  }
  return nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function engineMs([seconds, micros]: Buffer[]): number {
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}
