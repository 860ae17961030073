import type { ExplainQuestion, Explanation, NodesPurgeCount, Purge, SharedStatus } from "@proj/cache";
import type { ClientSockets } from "@proj/proxy";
import type { SideName, SideSettings } from "./serve-side.ts";

/** The second argument of a process that has a supervisor; those behind it are only for people to see. */
export const SUPERVISED = "--supervised";

/**
 * The first argument of a process that loads the code of a side, which the third names, and waits to take its place. As long as `proxy` and `cache`: it then says in the process list
 * that it is that.
 */
export const SPARE = "spare";

/** What a process is to do for its supervisor. */
export interface SupervisedRole {
  readonly side: SideName;
  readonly isSpare: boolean;
}

/** The arguments that say so. */
export function roleArguments({ side, isSpare }: SupervisedRole): string[] {
  return isSpare ? [SPARE, SUPERVISED, `--for=${side}`] : [side, SUPERVISED];
}

/** What a command line says of it; undefined: this process has no supervisor. */
export function supervisedRole([name, mark, purpose]: readonly string[]): SupervisedRole | undefined {
  if (mark !== SUPERVISED) return undefined;
  if (name === "proxy" || name === "cache") return { side: name, isSpare: false };
  if (name !== SPARE) return undefined;
  return { side: purpose === roleArguments({ side: "proxy", isSpare: true })[2] ? "proxy" : "cache", isSpare: true };
}

/** What a process goes by that its supervisor has read for it. */
export interface ChildSettings extends SideSettings {
  /** For the proxy, which has inherited them under these numbers. */
  readonly sockets: ClientSockets;
}

/** What a supervisor tells a process, over the channel that `Bun.spawn` gives them. */
export type SupervisorMessage =
  /** Only for the cache. */
  | { type: "purge"; id: number; purge: Purge }
  /** Only for the cache. */
  | { type: "explain"; id: number; question: ExplainQuestion }
  /** Only for a spare process, when it has asked for its settings, which it will be told when it is to serve. */
  | { type: "wait"; id: number; threads: number }
  /** What it has asked for before it starts; and, while it runs, what holds from now on. */
  | { type: "settings"; id: number; settings: ChildSettings };

/** What a supervised process tells its supervisor, over the channel that `Bun.spawn` gives them. */
export type ChildMessage =
  /** It listens, and waits for its settings. */
  | { type: "settings-wanted" }
  /** What became of settings that it was told while it ran. */
  | { type: "settings-used"; id: number; fault?: string }
  /** It serves. */
  | { type: "ready" }
  /** It ends, for a reason that a person can read. */
  | { type: "failed"; message: string }
  /** What became of a purge. */
  | { type: "purged"; id: number; outcome: NodesPurgeCount | { message: string } }
  /** What would happen to a request. */
  | { type: "explained"; id: number; outcome: Explanation | { message: string } }
  /** How the node stands to the others that it shares with. */
  | { type: "shared"; status: SharedStatus };

/** The message; undefined for anything else. The channel carries JSON and its other end is our own program, perhaps another version of it. */
export function readChildMessage(value: unknown): ChildMessage | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  if (value.type === "failed" && "message" in value) return { type: "failed", message: String(value.message) };
  if (value.type === "purged") return readPurged(value);
  if (value.type === "explained") return readExplained(value);
  if (value.type === "settings-wanted") return { type: "settings-wanted" };
  if (value.type === "settings-used") return readUsed(value);
  if (value.type === "shared" && "status" in value && typeof value.status === "object" && value.status !== null)
    return { type: "shared", status: value.status as SharedStatus };
  return value.type === "ready" ? { type: "ready" } : undefined;
}

function readUsed(value: object): ChildMessage | undefined {
  if (!("id" in value) || typeof value.id !== "number") return undefined;
  const fault = "fault" in value ? { fault: String(value.fault) } : {};
  return { type: "settings-used", id: value.id, ...fault };
}

function readPurged(value: object): ChildMessage | undefined {
  if (!("id" in value) || typeof value.id !== "number" || !("outcome" in value)) return undefined;
  const { id, outcome } = value;
  if (typeof outcome !== "object" || outcome === null) return undefined;
  if ("message" in outcome) return { type: "purged", id, outcome: { message: String(outcome.message) } };
  if (!("responses" in outcome) || !("bodyBytes" in outcome)) return undefined;
  return {
    type: "purged",
    id,
    outcome: {
      responses: Number(outcome.responses),
      bodyBytes: Number(outcome.bodyBytes),
      ...("nodes" in outcome && { nodes: outcome.nodes as NonNullable<NodesPurgeCount["nodes"]> }),
    },
  };
}

/** It is said by our own cache, and goes to the operator as it is. */
function readExplained(value: object): ChildMessage | undefined {
  if (!("id" in value) || typeof value.id !== "number" || !("outcome" in value)) return undefined;
  const { id, outcome } = value;
  if (typeof outcome !== "object" || outcome === null) return undefined;
  if ("message" in outcome) return { type: "explained", id, outcome: { message: String(outcome.message) } };
  return "outcome" in outcome && "stored" in outcome
    ? { type: "explained", id, outcome: outcome as Explanation }
    : undefined;
}

/** A supervisor's message; undefined for anything else. It is our own program that speaks, which has checked what it says. */
export function readSupervisorMessage(value: unknown): SupervisorMessage | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  if (!("id" in value) || typeof value.id !== "number") return undefined;
  const isWhole =
    (value.type === "purge" && "purge" in value) ||
    (value.type === "explain" && "question" in value) ||
    (value.type === "wait" && "threads" in value && typeof value.threads === "number") ||
    (value.type === "settings" && "settings" in value);
  return isWhole ? (value as SupervisorMessage) : undefined;
}
