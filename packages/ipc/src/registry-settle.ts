import { readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { familyFiles, findObject, findPoolObjects, poolFiles, sharedMemoryFiles } from "./cleanup-objects.ts";
import type { ObjectName } from "./object-name.ts";
import type { ObjectKind } from "./registry.ts";

/** A cleaner's directory inside a registry begins so: it holds the files whose names it has taken away for the moment. */
export const REMOVING_PREFIX = "removing.";

/**
 * Removes from one process's directory the entries of objects that do not exist: whoever unlinked them did not go through
 * this package, or the process was killed before it made them. The directory goes too when it is empty.
 *
 * Only for directories in which nobody is about to make something: a dead process's, or one's own at the end.
 *
 * @param kindOf What a file name's first letter stands for.
 */
export function settle(directory: string, kindOf: (letter: string) => ObjectKind | undefined): void {
  const registry = directory.slice(0, directory.lastIndexOf("/"));
  for (const file of namesIn(directory)) {
    const kind = kindOf(file.slice(0, 1));
    if (kind === undefined || exists(registry, kind, `/${file.slice(1)}` as ObjectName)) continue;
    attempt(() => unlinkSync(`${directory}/${file}`));
  }
  attempt(() => rmdirSync(directory));
}

/**
 * Also true when it can not be told. A cleaner that has taken a name away may give it back, or be killed, and then the next
 * one does: an object that was neither named nor hidden may just have got its name back.
 */
function exists(registry: string, kind: ObjectKind, name: ObjectName): boolean {
  try {
    return isNamed(kind, name) || isHidden(registry, kind, name) || isNamed(kind, name);
  } catch {
    return true;
  }
}

function isNamed(kind: ObjectKind, name: ObjectName): boolean {
  if (kind === "family") return familyFiles(name, sharedMemoryFiles()).length > 0;
  if (kind === "pool") return findPoolObjects(name, sharedMemoryFiles(), process.geteuid?.() ?? 0).length > 0;
  return findObject(kind, name) !== undefined;
}

function isHidden(registry: string, kind: ObjectKind, name: ObjectName): boolean {
  const cleaners = namesIn(registry).filter((entry) => entry.startsWith(REMOVING_PREFIX));
  const hidden = cleaners.flatMap((cleaner) => namesIn(`${registry}/${cleaner}`));
  if (kind === "family") return familyFiles(name, hidden).length > 0;
  if (kind === "pool") return poolFiles(name, hidden).length > 0;
  return hidden.includes(name.slice(1)) || (kind === "semaphore" && hidden.includes(`sem.${name.slice(1)}`));
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
