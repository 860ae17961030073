import type { LoggedSelector } from "./purge-index.ts";

/** A purge as the log has it. */
export interface LoggedPurge {
  readonly sequence: number;
  /** What any of them names is purged. */
  readonly selectors: readonly LoggedSelector[];
  readonly soft: boolean;
}

/** A purge that is not in the log yet. */
export type WantedPurge = Pick<LoggedPurge, "selectors" | "soft">;

/** One entry as it was read; without a purge it is a new beginning. */
export interface LogEntry {
  readonly sequence: number;
  readonly id: string;
  readonly purge: LoggedPurge | undefined;
}

/** What a new beginning of the log says: everything filled before is doubtful. */
export const BEGINNING = { begin: true } as const;

/** Stream entries that are kept, about: what was filled before the oldest of them is no longer believed. */
export const LOG_ENTRIES_MAX = 65_536;

/** Reads what `XRANGE` gives of an entry: its stream id, and `id` and `what` with their values. */
export function logEntryOf([streamId, fields]: readonly [Buffer, readonly Buffer[]]): LogEntry {
  const sequence = Number.parseInt(String(streamId), 10);
  return { sequence, id: String(fields[1] ?? ""), purge: purgeOf(sequence, String(fields[3] ?? "")) };
}

/** What {@link logEntryOf} reads as a purge. */
export function payloadOf({ selectors, soft }: WantedPurge): string {
  return JSON.stringify({ selectors, soft });
}

/** An entry that this version does not understand counts as a purge of everything. */
function purgeOf(sequence: number, payload: string): LoggedPurge | undefined {
  try {
    const { selectors, soft, begin } = JSON.parse(payload) as Record<string, unknown>;
    if (begin === true) return undefined;
    if (Array.isArray(selectors) && selectors.every(isSelector)) return { sequence, selectors, soft: soft === true };
  } catch {
    // below
  }
  return { sequence, selectors: [{ by: "all" }], soft: false };
}

function isSelector(value: unknown): value is LoggedSelector {
  if (typeof value !== "object" || value === null) return false;
  const needed = {
    key: ["key", "target"],
    prefix: ["prefix"],
    pattern: ["before", "path", "pattern"],
    tag: ["tag", "before"],
    all: [],
  };
  const fields = value as Record<string, unknown>;
  const names: readonly string[] | undefined = needed[fields["by"] as keyof typeof needed];
  return names?.every((name) => typeof fields[name] === "string") === true;
}
