import { inspectStore, type StoreEntry } from "@proj/cache/store";
import { cacheDirectoryPath } from "./cache-directory.ts";
import { cannotRun, errorCode, messageOf } from "./command-error.ts";
import { escapeControls, withoutControls } from "./log-escapes.ts";
import type { Options } from "./options.ts";
import { varyText } from "./vary-text.ts";

/**
 * Prints what the store of a channel holds on disk: for each response its status, size, age, how long it is fresh, what it varies on, and its tags.
 *
 * @param url Only this one: a URL, or path and query.
 * @returns The exit code: 0, and 1 when nothing is stored under `url`.
 * @throws {CommandError} Exit code 1: the store can not be read, or is of another version. Exit code 2: there is none, by `--cache-dir none`.
 */
export async function runInspect(
  url: string | undefined,
  options: Pick<Options, "cacheDir" | "channel">,
  { asJson }: { asJson: boolean },
): Promise<number> {
  const directory = cacheDirectoryPath(options, process.env);
  let count = 0;
  try {
    for (const entry of inspectStore(directory, url, Date.now())) {
      count++;
      process.stdout.write(asJson ? `${escapeControls(JSON.stringify(entry))}\n` : `${wordsOf(entry)}\n`);
    }
  } catch (error) {
    if (errorCode(error) === "ERR_STORE_VERSION") throw cannotRun(messageOf(error), error);
    throw cannotRun(
      `Cannot read the store in ${directory}: ${errorCode(error) ?? messageOf(error)}; name another with --cache-dir`,
      error,
    );
  }
  if (count === 0 && !asJson) {
    process.stdout.write(
      `nothing is stored in ${directory}${url === undefined ? "" : ` under ${withoutControls(url)}`}\n`,
    );
  }
  return count === 0 && url !== undefined ? 1 : 0;
}

function wordsOf({ url, status, bodyBytes, ageSeconds, ttlSeconds, varyNames, varyKey, tags }: StoreEntry): string {
  const fresh = ttlSeconds > 0 ? `fresh for ${ttlSeconds} s` : `stale since ${-ttlSeconds} s`;
  const lines = [`${url}`, `  ${status}, ${bodyBytes} bytes, ${ageSeconds} s old, ${fresh}`];
  if (varyNames.length > 0) lines.push(`  varies on ${varyNames.join(", ")}; this is for ${varyText(varyKey)}`);
  if (tags.length > 0) lines.push(`  tags ${tags.join(" ")}`);
  return lines.map(withoutControls).join("\n");
}
