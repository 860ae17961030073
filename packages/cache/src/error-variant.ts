import { type Fields, type Variant, variantOf } from "@proj/protocol";
import { speaksOfResource } from "./arriving.ts";
import type { ClientRequest } from "./client-request.ts";
import { WHOLE_REQUEST } from "./whole-request.ts";

/**
 * Which requests a response to `request` answers; undefined: no other. An error that may be about what one client has said answers only who says all the same: of
 * any other field nobody knows whether it has provoked it, and origins that say `Vary` on what they choke on would not choke.
 */
export function variantFor(request: ClientRequest, status: number, endToEnd: Fields): Variant | undefined {
  const ruled = request.rule?.headers ?? [];
  return variantOf(request, endToEnd, speaksOfResource(status) ? ruled : [...ruled, WHOLE_REQUEST]);
}

/** Whether it is such an error. */
export function isForSameWords({ varyNames }: Variant): boolean {
  return varyNames.includes(WHOLE_REQUEST);
}
