import { join } from "node:path";
import type { LogRecord } from "@proj/protocol";
import { LogPositionFile, type NodePosition, PurgeLog, parseSharedAddress, SharedKeys } from "@proj/shared-tier";
import type { NodesPurgeCount, ShardPurge } from "../purge.ts";
import type { Purges } from "../purges.ts";
import type { SharedOptions } from "../shard-thread-options.ts";
import type { SharedNews } from "./shared-side.ts";

/** How this node stands to the others of its deployment: what an operator sees. */
export interface SharedStatus {
  readonly node: string;
  readonly state: "joined" | "alone";
  /** Purges that it knows of and has not applied. */
  readonly behind: number;
  /** Purges that it could not tell the others yet. */
  readonly unsent: number;
  /** As they were when this was last told: with each change, and of a node that is silent every five seconds. */
  readonly nodes: readonly { readonly name: string; readonly behind: number; readonly silentMs: number }[];
}

/** Nodes are heard once a second: what is less than this is no silence. */
const SILENCE_STEP_MS = 5_000;

/** One node's end of the purge log, and what its threads have to know of it. */
export class SharedNode {
  readonly #log: PurgeLog;
  readonly #tell: (news: SharedNews) => Promise<void>;
  #nodes: readonly NodePosition[] = [];
  #watcher: ((status: SharedStatus) => void) | undefined;
  /** What the watcher knows. */
  #told = "";

  /** @param options.tell Has every thread of the cache know something; resolves when all do. */
  constructor(options: {
    shared: SharedOptions;
    /** Unlike any other node's of the deployment. */
    node: string;
    directory: string | undefined;
    /** Of what this node stores itself. */
    purges: Purges;
    tell: (news: SharedNews) => Promise<void>;
    log: (record: LogRecord) => void;
  }) {
    const { shared, node, directory, purges, tell, log } = options;
    const address = parseSharedAddress(shared.address);
    if (address === undefined)
      throw new Error("Cannot use the address of the shared tier: its ports are from 1 to 65535");
    this.#tell = tell;
    this.#log = new PurgeLog({
      address,
      keys: new SharedKeys(shared.deployment),
      node,
      file: new LogPositionFile(directory === undefined ? undefined : join(directory, "purge-log.json")),
      log: (level, message) => log({ level, message }),
      host: {
        recall: (purges) => tell({ recall: purges }),
        forgetBefore: (sequence) => tell({ forgetBefore: sequence }),
        apply: async (purge) => {
          const { selectors, soft, sequence } = purge;
          const filledBefore = sequence === 0 ? Number.POSITIVE_INFINITY : sequence;
          const count = purges.purge({ selectors, soft, dryRun: false, filledBefore });
          await tell({ logged: purge }); // behind the purge, which holds from the moment that a thread has heard of it
          return { count };
        },
        tell: (state) => {
          tell({ state }).catch(() => {}); // a thread has died: the process ends
          this.#look();
        },
        meet: (nodes) => {
          this.#nodes = nodes;
          this.#look();
        },
      },
    });
  }

  /** Resolves when what this node has missed is applied; after a while also without. */
  started(): Promise<void> {
    return this.#log.started();
  }

  async purge({ selectors, soft }: Pick<ShardPurge, "selectors" | "soft">): Promise<NodesPurgeCount> {
    if (!soft) await this.#tell({ makeRoom: selectors });
    const { responses, bodyBytes, applied, missing } = await this.#log.purge({ selectors, soft });
    return { responses, bodyBytes, nodes: { applied, missing } };
  }

  /** Has `tell` know how this node stands, now and whenever that is another. */
  watch(tell: (status: SharedStatus) => void): void {
    this.#watcher = tell;
    this.#look();
  }

  #look(): void {
    if (this.#watcher === undefined) return;
    const { isJoined, behind, unsent, newest } = this.#log.state;
    const nodes = this.#nodes.map(({ name, sequence, silentMs }) => ({
      name,
      behind: Math.max(0, newest - sequence),
      silentMs,
    }));
    const status = { node: this.#log.node, state: isJoined ? "joined" : "alone", behind, unsent, nodes } as const;
    const known = JSON.stringify(status, (name, value) =>
      name === "silentMs" ? Math.floor(value / SILENCE_STEP_MS) : value,
    );
    if (known === this.#told) return;
    this.#told = known;
    this.#watcher(status);
  }

  close(): Promise<void> {
    this.#watcher = undefined;
    return this.#log.close();
  }
}
