import { onGatewayName } from "../http1/field-names.ts";
import { isMethodOverride, isSaidByProxies } from "../http1/said-by-proxies.ts";
import { CONDITIONAL_FIELD_NAMES } from "./validation.ts";

const OF_ONE_CLIENT = new Set([...CONDITIONAL_FIELD_NAMES, "range"]);

/** Whether a field is a condition, or a Range: what is asked for others has none of the client's. */
export const isOfOneClient = onGatewayName((name) => OF_ONE_CLIENT.has(name));

/**
 * Whether what a client says in a field goes along with a request whose response others get, by its name in lower case, however spelled. Not its conditions and
 * ranges: the whole response is wanted. Nor fields that are no part of the key but by which many an origin chooses another host, target or method: who
 * sends one would answer for everybody else (CHECKLIST 31). The proxy takes those away too.
 */
export const isForOthers = onGatewayName(
  (name) => !isOfOneClient(name) && !isSaidByProxies(name) && !isMethodOverride(name),
);
