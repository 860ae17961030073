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
  readonly nodes: readonly { readonly name: string; readonly behind: number; readonly silentMs: number }[];
}

const WATCH_MS = 1_000;

/** One node's end of the purge log, and what its threads have to know of it. */
export class SharedNode {
  readonly #log: PurgeLog;
  readonly #tell: (news: SharedNews) => Promise<void>;
  #nodes: readonly NodePosition[] = [];
  #watch: Timer | undefined;
  #onChange = () => {};
  #isJoined: boolean | undefined;
  #isClosed = false;

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
          if (state.isJoined === this.#isJoined) return;
          this.#isJoined = state.isJoined;
          this.#onChange();
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

  /** Has `tell` know how this node stands, now and whenever that may be another. */
  watch(tell: (status: SharedStatus) => void): void {
    let asked = 0;
    const look = async () => {
      const mine = ++asked;
      const status = await this.#status();
      if (mine === asked) tell(status);
      clearTimeout(this.#watch);
      // The more nodes there are, the less often each asks for all of them.
      if (!this.#isClosed) this.#watch = setTimeout(look, Math.max(WATCH_MS, status.nodes.length * 10));
    };
    this.#onChange = () => void look();
    void look();
  }

  async #status(): Promise<SharedStatus> {
    const { isJoined, behind, unsent, newest } = this.#log.state;
    if (isJoined) this.#nodes = await this.#log.nodes().catch(() => this.#nodes);
    const nodes = this.#nodes.map(({ name, sequence, silentMs }) => ({
      name,
      behind: Math.max(0, newest - sequence),
      silentMs,
    }));
    return { node: this.#log.node, state: isJoined ? "joined" : "alone", behind, unsent, nodes };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#watch);
    return this.#log.close();
  }
}
