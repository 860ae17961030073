import { addressText } from "./address-text.ts";
import { cannotRun, errorCode, usageError } from "./command-error.ts";
import type { Options } from "./options.ts";
import { type PurgeAnswer, readPurgeRequest } from "./purge-request.ts";

/** What the command line says of a purge: one of the first five, and how. */
export interface PurgeWish {
  url?: string | undefined;
  prefix?: string | undefined;
  pattern?: string | undefined;
  tag?: string | undefined;
  all?: true | undefined;
  soft?: true | undefined;
  dryRun?: true | undefined;
}

const TIMEOUT_MS = 30_000;

/**
 * Has the cache of a running `webproxy` purged, through its admin API, and prints how many responses that were.
 *
 * @returns The exit code, 0: done, also when there was nothing to purge.
 * @throws {CommandError} Exit code 2: not one selector, or one that can not be. 1: nobody answers, or it could not be done.
 */
export async function runPurge(
  wish: PurgeWish,
  { adminHost, adminPort }: Pick<Options, "adminHost" | "adminPort">,
  { asJson }: { asJson: boolean },
): Promise<number> {
  const wanted = Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== undefined));
  const refusal = readPurgeRequest(wanted);
  if (typeof refusal === "string") {
    throw usageError(
      "Cannot purge: give one of URL (or a path that begins with /), --prefix, --pattern, --tag or --all; see webproxy purge --help",
    );
  }
  const answer = await send(wanted, addressText(adminHost, adminPort));
  process.stdout.write(asJson ? `${JSON.stringify(answer)}\n` : `${wordsOf(answer)}\n`);
  return 0;
}

async function send(wanted: object, address: string): Promise<PurgeAnswer> {
  let response: Response;
  try {
    response = await fetch(`http://${address}/api/purge`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(wanted),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw cannotRun(
      `Cannot purge through the admin API at ${address}: ${errorCode(error) ?? String(error)}; name where webproxy runs with --admin-host and --admin-port`,
      error,
    );
  }
  const body: unknown = await response.json().catch(() => ({}));
  if (response.ok) return body as PurgeAnswer;
  const reason =
    typeof body === "object" && body !== null && "error" in body ? String(body.error) : `status ${response.status}`;
  throw cannotRun(reason.startsWith("Cannot") ? reason : `Cannot purge through the admin API at ${address}: ${reason}`);
}

function wordsOf({ purged, bodyBytes, soft, dryRun, nodes }: PurgeAnswer): string {
  const what = `${purged} ${purged === 1 ? "response" : "responses"}, ${bodyBytes} bytes of body`;
  if (dryRun) return `would purge ${what}`;
  const done = `${soft ? "made stale" : "purged"} ${what}`;
  if (nodes === undefined) return done;
  const { applied, missing } = nodes;
  const spread = `${done}; applied on ${applied.length} of ${applied.length + missing.length} nodes`;
  return missing.length === 0 ? spread : `${spread}, not yet on ${missing.join(", ")}`;
}
