import { type ArchiveCount, exportStore, importStore, type OnProgress } from "@proj/cache/store";
import { cacheDirectoryPath } from "./cache-directory.ts";
import { cannotRun, errorCode, messageOf } from "./command-error.ts";
import type { Options } from "./options.ts";
import { ProgressBar } from "./progress-bar.ts";

/**
 * Writes the store of a channel to a file, and prints how much that was. Responses that are not as they were written are left out.
 *
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: there is no store, or the file can not be written.
 */
export async function runExport(file: string, options: Pick<Options, "cacheDir" | "channel">): Promise<number> {
  const directory = cacheDirectoryPath(options, process.env);
  const count = attempt(
    () => withProgress(file, (onProgress) => exportStore(directory, file, onProgress)),
    `Cannot export the store in ${directory} to ${file}`,
  );
  process.stdout.write(
    `exported ${wordsOf(count)}${count.skipped === 0 ? "" : `; ${count.skipped} were broken and left out`}\n`,
  );
  return 0;
}

/**
 * Adds what {@link runExport} has written to the store of a channel, whose cache must not be running, and prints how much that was.
 *
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: the cache runs, the directory can not be used, or the file is no archive or not all of one.
 */
export async function runImport(
  file: string,
  options: Pick<Options, "cacheDir" | "channel" | "disk">,
): Promise<number> {
  const directory = cacheDirectoryPath(options, process.env);
  const count = attempt(
    () => withProgress(file, (onProgress) => importStore(directory, file, options.disk, onProgress)),
    `Cannot import ${file} into ${directory}`,
  );
  const skipped = count.skipped === 0 ? "" : `; ${count.skipped} were there already or have no room in --disk`;
  process.stdout.write(`imported ${wordsOf(count)}${skipped}\n`);
  return 0;
}

/** Shows how far it is on a terminal; elsewhere nothing is shown, nor counted for it. */
function withProgress<Result>(label: string, run: (onProgress?: OnProgress) => Result): Result {
  if (process.stderr.isTTY !== true) return run();
  const progress = new ProgressBar(label, { isShown: true });
  try {
    return run((doneBytes, totalBytes) => progress.show(doneBytes, totalBytes));
  } finally {
    progress.end();
  }
}

function attempt(what: () => ArchiveCount, tried: string): ArchiveCount {
  try {
    return what();
  } catch (error) {
    const message = messageOf(error);
    throw cannotRun(message.startsWith("Cannot") ? message : `${tried}: ${errorCode(error) ?? message}`, error);
  }
}

function wordsOf({ responses, bytes }: ArchiveCount): string {
  return `${responses} ${responses === 1 ? "response" : "responses"}, ${bytes} bytes`;
}
