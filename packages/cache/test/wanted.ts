import type { WantedResponse } from "@proj/protocol";

/** What a client asks a shard for with a GET, without a loan, and as nobody whom the origin is to be told of. */
export function wantedGet(site: number, target: string, fieldSection = ""): WantedResponse {
  return { wire: "http", method: "GET", site, target, acceptsLoan: false, fieldSection, forwardingSection: "" };
}
