import type { ClientRequest } from "./client-request.ts";
import type { FillMode } from "./fill-host.ts";
import { requestControl } from "./selection.ts";
import type { StoredResponse } from "./stored-response.ts";

/** A proxy may answer others with it without asking: the same for everybody who says nothing but which resource is wanted. */
export function mayBeHot(
  request: Pick<ClientRequest, "method" | "hasDecidingFields">,
  { status, variant, fields, parts }: Pick<StoredResponse, "status" | "variant" | "fields" | "parts">,
): boolean {
  if (status !== 200 || request.method !== "GET" || request.hasDecidingFields || parts !== undefined) return false;
  return variant.varyNames.length === 0 && !fields.has("content-encoding");
}

/** Credentials may matter to the response: nobody waits for one that was asked for with somebody's. */
export function mayShare(request: ClientRequest): boolean {
  if (!request.hasDecidingFields) return true;
  const { fields } = request;
  return !fields.has("authorization") && (request.range === undefined || !fields.has("if-range"));
}

/** Whether others may wait for it as well: not for what is not to be stored because this one client says so (RFC 9111 section 5.2.1.5). */
export function fillModeOf(request: ClientRequest): Exclude<FillMode, "pass"> {
  return mayShare(request) && !requestControl(request).noStore ? "shared" : "own";
}
