import { endToEndFields, Fields, type Site, type SiteTable, type WantedResponse } from "@proj/protocol";
import { isForwarding } from "../client-request.ts";
import type { ExplainQuestion, Explanation } from "./explanation.ts";

/** What the proxy would ask the cache for; or, where it would not ask, why. */
export function wantedOf(
  { host, path, method, fields }: ExplainQuestion,
  table: SiteTable<Site>,
): (WantedResponse & { keyTarget: string }) | Explanation {
  const given = endToEndFields(Fields.from(fields));
  const site = table.find(host, path);
  if (site === undefined) {
    const why = {
      text: `no site is configured for ${host ?? "a client that names no host"} and this path: it gets a 404`,
    };
    return { outcome: "nobody", because: [why], stored: [] };
  }
  if (method !== "GET" && method !== "HEAD") {
    const why = { text: "only GET and HEAD are answered from what is stored", rfc: "RFC 9111 section 3" };
    return { outcome: "pass", because: [why], stored: [], site: site.settings.name };
  }
  if (site.mayBeLeftBy(path)) {
    const why = { text: "the path holds a dot segment, which could lead out of the site: it gets a 400" };
    return { outcome: "nobody", because: [why], stored: [] };
  }
  const joined = site.join(path);
  const ruling = site.rulingOn(joined);
  const target = site.forwarded(joined, ruling);
  const keyTarget = ruling.rule?.keyTarget(target) ?? target;
  // Who asks says what a proxy would have said of a client.
  const forwarding = given.filter(isForwarding);
  const said = { fieldSection: given.render(), forwardingSection: forwarding.render() };
  return { wire: "http", acceptsLoan: true, method, site: site.id, target, ...said, keyTarget };
}
