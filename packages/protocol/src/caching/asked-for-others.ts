import { isMethodOverride, isSaidByProxies } from "../http1/said-by-proxies.ts";
import { CONDITIONAL_FIELD_NAMES } from "./validation.ts";

const OF_ONE_CLIENT = new Set([...CONDITIONAL_FIELD_NAMES, "range"]);

/** Whether a field, by its `gatewayName`, is a condition, or a Range: what is asked for others has none of the client's. */
export function isOfOneClient(name: string): boolean {
  return OF_ONE_CLIENT.has(name);
}

/**
 * Whether what a client says in a field goes along with a request whose response others get, by its `gatewayName`. Not its conditions and
 * ranges: the whole response is wanted. Nor fields that are no part of the key but by which many an origin chooses another host, target or method: who
 * sends one would answer for everybody else (CHECKLIST 31). The proxy takes those away too.
 */
export function isForOthers(name: string): boolean {
  return !isOfOneClient(name) && !isSaidByProxies(name) && !isMethodOverride(name);
}
