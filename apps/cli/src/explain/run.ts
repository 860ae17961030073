import { addressText } from "../address-text.ts";
import { cannotRun, errorCode, usageError } from "../command-error.ts";
import { escapeControls } from "../log-escapes.ts";
import type { Options } from "../options.ts";
import { type ExplainAnswer, type ExplainRequest, readExplainRequest } from "./request.ts";
import { explanationText } from "./words.ts";

const TIMEOUT_MS = 60_000;

/**
 * Prints what a running `webproxy` would do with a request, and why.
 *
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 2: it is no request. 1: nobody answers, or it could not be told.
 */
export async function runExplain(
  request: ExplainRequest,
  { adminHost, adminPort }: Pick<Options, "adminHost" | "adminPort">,
  { asJson }: { asJson: boolean },
): Promise<number> {
  const refusal = readExplainRequest(request);
  if (typeof refusal === "string") throw usageError(`Cannot explain ${JSON.stringify(request.url)}: ${refusal}`);
  const answer = await ask(request, addressText(adminHost, adminPort));
  process.stdout.write(asJson ? `${escapeControls(JSON.stringify(answer))}\n` : explanationText(answer));
  return 0;
}

async function ask(request: ExplainRequest, address: string): Promise<ExplainAnswer> {
  let response: Response;
  try {
    response = await fetch(`http://${address}/api/explain`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw cannotRun(
      `Cannot ask the admin API at ${address}: ${errorCode(error) ?? String(error)}; name where webproxy runs with --admin-host and --admin-port`,
      error,
    );
  }
  const body: unknown = await response.json().catch(() => ({}));
  if (response.ok) return body as ExplainAnswer;
  const reason =
    typeof body === "object" && body !== null && "error" in body ? String(body.error) : `status ${response.status}`;
  throw cannotRun(`Cannot explain ${request.url} through the admin API at ${address}: ${reason}`);
}
