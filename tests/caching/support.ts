import type { Address } from "../support/address.ts";
import type { ClientBehaviour } from "../support/client-result.ts";
import { field, type HttpRequest, http } from "../support/http-client.ts";
import type { Webproxy } from "../support/webproxy.ts";

/** What a test looks at in a response. */
export interface Got {
  status: string | undefined;
  body: string;
  /** What Cache-Status says, without our name. */
  cache: string | undefined;
  age: number | undefined;
  head: string;
  isComplete: boolean;
}

/** One request on a connection of its own. */
export async function get(address: Address, path: string, request: HttpRequest & ClientBehaviour = {}): Promise<Got> {
  const chunks: Buffer[] = [];
  const result = await http(address, path, { ...request, onBody: (chunk) => void chunks.push(Buffer.from(chunk)) });
  const age = field(result.head, "age");
  return {
    status: result.status,
    body: Buffer.concat(chunks).toString("latin1"),
    cache: field(result.head, "cache-status")?.replace(/^webproxy(?:; )?/, ""),
    age: age === undefined ? undefined : Number(age),
    head: result.head,
    isComplete: result.isComplete,
  };
}

/** Sends a purge to the admin API, as `webproxy purge` does. */
export async function purge(webproxy: Webproxy, wanted: Record<string, unknown>): Promise<number> {
  const { host, port } = webproxy.admin;
  const response = await fetch(`http://${host}:${port}/api/purge`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(wanted),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = (await response.json()) as { purged: number };
  if (!response.ok) throw new Error(`purge: ${response.status} ${JSON.stringify(answer)}`);
  return answer.purged;
}

/** Requests until each of the proxy's threads has surely kept the response ready: connections are spread by the kernel. */
export async function warm(address: Address, path: string, times = 12): Promise<void> {
  for (let time = 0; time < times; time++) await get(address, path);
}

/** Numbers from 0 up to 1, the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
