import type { CacheCounter } from "@proj/protocol";
import { type StartOptions, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

/** What `/api/stats` says of the shared tier. */
export interface SharedStatus {
  node: string;
  state: "joined" | "alone";
  behind: number;
  unsent: number;
  nodes: { name: string; behind: number; silentMs: number }[];
}

export interface NodesPurged {
  purged: number;
  nodes: { applied: string[]; missing: string[] };
}

/** A look-up may take as long as a busy machine needs: what is tested is not how fast it is. */
const PATIENT = ["--shared-budget", "8000"];
const JOINED_MS = 30_000;

/** A node of a deployment, joined. */
export async function startNode(
  shared: string,
  { args = [], isPatient = true, ...options }: StartOptions & { isPatient?: boolean },
): Promise<Webproxy> {
  const all = ["--shared", shared, ...(isPatient ? PATIENT : []), ...args];
  const node = await Webproxy.start({ ...options, args: all });
  try {
    await joined(node);
    return node;
  } catch (error) {
    await node[Symbol.asyncDispose]();
    throw error;
  }
}

/** Nodes of one deployment; all end with the scope. */
export class Nodes implements AsyncDisposable {
  readonly all: Webproxy[] = [];

  static async start(count: number, shared: string, options: Parameters<typeof startNode>[1]): Promise<Nodes> {
    const nodes = new Nodes();
    const started = await Promise.allSettled(Array.from({ length: count }, () => startNode(shared, options)));
    for (const one of started) if (one.status === "fulfilled") nodes.all.push(one.value);
    const failed = started.find((one) => one.status === "rejected");
    if (failed === undefined) return nodes;
    await nodes[Symbol.asyncDispose]();
    throw failed.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((node) => node[Symbol.asyncDispose]()));
  }
}

export async function sharedStatus(node: Webproxy): Promise<SharedStatus | undefined> {
  const { shared } = (await node.stats()) as unknown as { shared: SharedStatus | null };
  return shared ?? undefined;
}

export async function joined(node: Webproxy): Promise<void> {
  const isJoined = async () => (await sharedStatus(node))?.state === "joined";
  await eventually(JOINED_MS, () => `the node has joined; its stderr: ${node.stderr}`, isJoined);
}

export async function alone(node: Webproxy): Promise<void> {
  const isAlone = async () => (await sharedStatus(node))?.state === "alone";
  await eventually(JOINED_MS, () => `the node says that it is alone; its stderr: ${node.stderr}`, isAlone);
}

/** What `/readyz` names as degraded. */
export async function degraded({ admin }: Webproxy): Promise<string[]> {
  const response = await fetch(`http://${admin.host}:${admin.port}/readyz`, { headers: { connection: "close" } });
  return ((await response.json()) as { degraded: string[] }).degraded;
}

export async function counter(node: Webproxy, name: CacheCounter): Promise<number> {
  return (await node.stats()).cache?.counters[name] ?? 0;
}

/** Waits until a node has written so many responses to the engine. */
export async function written(node: Webproxy, responses: number): Promise<void> {
  const isWritten = async () => (await counter(node, "sharedWrites")) >= responses;
  await eventually(JOINED_MS, () => `${responses} responses are written; stderr: ${node.stderr}`, isWritten);
}

/** A purge, and which nodes had applied it when it was answered. */
export async function purgeNodes({ admin }: Webproxy, wanted: Record<string, unknown>): Promise<NodesPurged> {
  const response = await fetch(`http://${admin.host}:${admin.port}/api/purge`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify(wanted),
    signal: AbortSignal.timeout(20_000),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`purge: ${response.status} ${JSON.stringify(answer)}`);
  return answer as NodesPurged;
}

/** The same, until every node has applied it: on a busy machine that may take longer than an answer waits. */
export async function purgeEverywhere(node: Webproxy, wanted: Record<string, unknown>): Promise<NodesPurged> {
  const first = await purgeNodes(node, wanted);
  let last = first;
  const isEverywhere = async () => {
    if (last.nodes.missing.length === 0) return true;
    last = await purgeNodes(node, wanted);
    return false;
  };
  await eventually(JOINED_MS, () => `it is applied by ${last.nodes.missing.join(", ")}`, isEverywhere);
  return { ...last, purged: first.purged };
}
