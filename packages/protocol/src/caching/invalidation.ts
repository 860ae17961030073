import { type CacheTarget, cacheTarget } from "./cache-key.ts";
import type { ResponseMessage } from "./messages.ts";

/** RFC 9110 section 9.2.1. A method that is not known may do anything. */
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

export function isSafeMethod(method: string): boolean {
  return SAFE_METHODS.has(method);
}

/**
 * The resources whose stored responses the response to an unsafe request invalidates (RFC 9111 section 4.4): its target,
 * and what Location and Content-Location name if that is of the same origin. Empty for a safe method and after an error.
 *
 * @param target What the request was for, as forwarded.
 */
export function invalidatedTargets(method: string, target: CacheTarget, response: ResponseMessage): CacheTarget[] {
  const isError = response.status < 200 || response.status > 399;
  if (isSafeMethod(method) || isError) return [];
  const targets = [target];
  for (const name of ["location", "content-location"]) {
    for (const reference of response.fields.all(name)) {
      const named = resolve(reference, target);
      if (named !== undefined && !targets.some(({ key }) => key === named.key)) targets.push(named);
    }
  }
  return targets;
}

/** Undefined for what is no http URI or of another origin: invalidating that would be a way to attack others. */
function resolve(reference: string, base: CacheTarget): CacheTarget | undefined {
  const url = URL.parse(reference, base.key);
  if (url === null || url.protocol !== `${base.scheme}:`) return undefined;
  const named = cacheTarget(base.scheme, url.host, url.pathname + url.search);
  return named?.authority === base.authority ? named : undefined;
}
