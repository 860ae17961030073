import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { BEGINNING, type WantedPurge } from "./log-entry.ts";

/** Where a node stands in the purge log, and what it still has to say to it. */
export interface LogPosition {
  /** The number of the last purge that this node has applied; 0: of none. */
  readonly sequence: number;
  /** The id of that entry: another one under the same number belongs to another log. */
  readonly id: string;
  /** What was filled after an earlier number has to be validated before it is used. */
  readonly validFrom: number;
  /** Purges that were made while the engine was away. */
  readonly unsent: readonly Unsent[];
}

/** A purge that the others do not know of; or, when there were too many to keep, a new beginning: everything filled before is doubtful. */
export type Unsent = WantedPurge | typeof BEGINNING;

const UNSENT_MAX = 1_024;

/** What is to be sent when `purge` is as well. One that is there already need not be sent twice. */
export function withUnsent(unsent: readonly Unsent[], purge: Unsent): readonly Unsent[] {
  const text = JSON.stringify(purge);
  if (unsent.some((other) => "begin" in other || JSON.stringify(other) === text)) return unsent;
  return unsent.length < UNSENT_MAX ? [...unsent, purge] : [BEGINNING];
}

export const NOWHERE: LogPosition = { sequence: 0, id: "", validFrom: 0, unsent: [] };

/** Keeps a node's position over restarts, in the directory of what it stores; without one there is nothing that a purge could have missed. */
export class LogPositionFile {
  readonly #path: string | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** @returns {@link NOWHERE} when there is no such file, or none that can be read: then everything stored has to be validated. */
  read(): LogPosition {
    if (this.#path === undefined) return NOWHERE;
    try {
      const value: unknown = JSON.parse(readFileSync(this.#path, "utf8"));
      return isPosition(value) ? value : NOWHERE;
    } catch {
      return NOWHERE;
    }
  }

  /** @throws The file system's error. */
  write(position: LogPosition): void {
    if (this.#path === undefined) return;
    writeFileSync(`${this.#path}.new`, `${JSON.stringify(position)}\n`, { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
  }
}

function isPosition(value: unknown): value is LogPosition {
  if (typeof value !== "object" || value === null) return false;
  const { sequence, id, validFrom, unsent } = value as Record<string, unknown>;
  return (
    Number.isSafeInteger(sequence) && typeof id === "string" && Number.isSafeInteger(validFrom) && Array.isArray(unsent)
  );
}
