import { nearest } from "./did-you-mean.ts";
import { FLAGS, flagNames } from "./flags.ts";
import type { FlagName, RawOptions } from "./options.ts";

const PREFIX = "WEBPROXY_";

/** `WEBPROXY_SEGMENT_SIZE` for `segmentSize`. */
export function variableOf(name: FlagName): string {
  return PREFIX + snakeOf(name);
}

/** The values that the environment gives to `names`; an empty variable is as one that is not there. */
export function environmentValues(
  environment: Readonly<Record<string, string | undefined>>,
  names: readonly FlagName[] = flagNames(),
): RawOptions {
  const values: RawOptions = {};
  for (const name of names) {
    const text = environment[variableOf(name)];
    if (text === undefined || text === "") continue;
    // URLs hold no space; a directory's name may.
    const isList = FLAGS[name].isRepeatable === true && text.includes("://");
    values[name] = isList ? text.split(/\s+/).filter((part) => part !== "") : text;
  }
  return values;
}

/** A variable that is set and means nothing, and the one that was probably meant. One that is near none may be somebody else's. */
export function misspelledVariable(
  environment: Readonly<Record<string, string | undefined>>,
): { name: string; meant: string } | undefined {
  const known = [...flagNames().map(snakeOf), "CONFIG"];
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(PREFIX) || known.includes(name.slice(PREFIX.length))) continue;
    const meant = nearest(name.slice(PREFIX.length), known);
    if (meant !== undefined) return { name, meant: PREFIX + meant };
  }
  return undefined;
}

function snakeOf(name: FlagName): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
