import { patternMatch } from "./pattern.ts";
import type { QuerySettings } from "./rule.ts";

const ENCODED = /[%+]/;

/** A target with those parameters of its query that count, in the order and spelling they came in. */
export type CountedQuery = (target: string) => string;

/**
 * The parameters of a query that are part of the key.
 *
 * In doubt a parameter counts: then the worst is another copy. One that counts by any reading of its name (plain, decoded) counts, and so does
 * one with a `;`, at which some origins begin the next parameter. So two requests that an origin tells apart by what an operator named never share a key.
 */
export function countedQuery({ kind, names }: QuerySettings): CountedQuery {
  const matches = names.map(patternMatch);
  const isNamed = (name: string) => matches.some((one) => one(name));
  const counts = (parameter: string) => {
    if (parameter.includes(";")) return true;
    const name = nameOf(parameter);
    if (!ENCODED.test(name)) return isNamed(name) === (kind === "only");
    const decoded = decodeName(name);
    if (kind === "only") return decoded === undefined || isNamed(name) || isNamed(decoded);
    return decoded === undefined || !isNamed(name) || !isNamed(decoded);
  };
  return (target) => {
    const query = target.indexOf("?");
    if (query === -1) return target;
    const parameters = target.slice(query + 1).split("&");
    const counted = parameters.filter(counts);
    if (counted.length === parameters.length) return target;
    const path = target.slice(0, query);
    return counted.length === 0 ? path : `${path}?${counted.join("&")}`;
  };
}

function nameOf(parameter: string): string {
  const equals = parameter.indexOf("=");
  return equals === -1 ? parameter : parameter.slice(0, equals);
}

/** Undefined when its encoding is broken. */
function decodeName(name: string): string | undefined {
  try {
    return decodeURIComponent(name.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
