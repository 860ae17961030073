import { readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { familyFiles, findObject, findPoolObjects, sharedMemoryFiles } from "./cleanup-objects.ts";
import type { ObjectName } from "./object-name.ts";
import type { ObjectKind } from "./registry.ts";

/**
 * Removes from one process's directory the entries of objects that do not exist: whoever unlinked them did not go through
 * this package, or the process was killed before it made them. The directory goes too when it is empty.
 *
 * Only for directories in which nobody is about to make something: a dead process's, or one's own at the end.
 *
 * @param kindOf What a file name's first letter stands for.
 */
export function settle(directory: string, kindOf: (letter: string) => ObjectKind | undefined): void {
  for (const file of namesIn(directory)) {
    const kind = kindOf(file.slice(0, 1));
    if (kind === undefined || exists(kind, `/${file.slice(1)}` as ObjectName)) continue;
    attempt(() => unlinkSync(`${directory}/${file}`));
  }
  attempt(() => rmdirSync(directory));
}

/** Also true when it can not be told. */
function exists(kind: ObjectKind, name: ObjectName): boolean {
  try {
    if (kind === "family") return familyFiles(name, sharedMemoryFiles()).length > 0;
    if (kind === "pool") return findPoolObjects(name, sharedMemoryFiles(), process.geteuid?.() ?? 0).length > 0;
    return findObject(kind, name) !== undefined;
  } catch {
    return true;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // Somebody else was faster, or it is not empty.
  }
}
