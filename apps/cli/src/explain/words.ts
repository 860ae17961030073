import type { Because, ExplainedOutcome, ExplainedResponse } from "@proj/cache";
import { withoutControls } from "../log-escapes.ts";
import { varyText } from "../vary-text.ts";
import type { ExplainAnswer } from "./request.ts";

const OUTCOME: Record<ExplainedOutcome, string> = {
  hit: "HIT: what is stored would be sent",
  stale: "STALE: what is stored would be sent, although it is stale",
  validate: "VALIDATE: the origin would be asked whether what is stored is still good",
  fetch: "MISS: the origin would be asked for it",
  pass: "PASS: caching has no part in it; the origin would be asked",
  "not-stored": "504: nothing that is stored may be sent, and nothing else is wanted",
  nobody: "REFUSED: it would not get as far as the cache",
};

/** An explanation for people. */
export function explanationText(answer: ExplainAnswer): string {
  const { url, outcome, because, cacheStatus, key, site, shard, stored, lastFetch, fetched } = answer;
  const lines = [url];
  if (fetched !== undefined)
    lines.push(`  fetched just now: ${fetched.status}, Cache-Status: ${fetched.cacheStatus ?? "none"}`);
  lines.push(`  ${OUTCOME[outcome]}`, ...because.map((one) => `    - ${because1(one)}`));
  if (cacheStatus !== undefined) lines.push(`  Cache-Status: ${cacheStatus}`);
  if (key !== undefined) {
    const owner = shard === undefined ? "" : `, of cache thread ${shard}`;
    lines.push(`  key ${key}${owner}${site === undefined || site === "" ? "" : `, site ${site}`}`);
  }
  if (stored.length > 0)
    lines.push(
      "",
      `  stored: ${stored.length} ${stored.length === 1 ? "response" : "responses"}`,
      ...stored.flatMap(storedLines),
    );
  if (lastFetch !== undefined) {
    const { secondsAgo, status, because: why } = lastFetch;
    lines.push(
      "",
      `  not stored: the last response, a ${status} ${secondsAgo} s ago, was not:`,
      `    - ${because1(why)}`,
    );
  } else if (stored.length === 0 && key !== undefined) {
    const advice = fetched === undefined ? "; --fetch asks for it" : "";
    lines.push("", `  nothing is stored, and no response is remembered that could not be${advice}`);
  }
  return `${lines.map((line) => String(withoutControls(line))).join("\n")}\n`;
}

function because1({ text, directive, rfc }: Because): string {
  return `${directive === undefined ? "" : `${directive}: `}${text}${rfc === undefined ? "" : ` (${rfc})`}`;
}

function storedLines(response: ExplainedResponse): string[] {
  const { isSelected, status, bodyBytes, isWhole, tier, ageSeconds, ttlSeconds, lifetime } = response;
  const { varyNames, varyKey, tags, etag, lastModified, cacheControl } = response;
  const fresh = ttlSeconds > 0 ? `fresh for another ${ttlSeconds} s` : `stale since ${-ttlSeconds} s`;
  const size = `${bodyBytes} bytes${isWhole ? "" : ", of which parts are there"}`;
  return [
    `  ${isSelected ? ">" : " "} ${status}, ${size}, ${tier === "memory" ? "in memory" : "on disk"}, ${ageSeconds} s old, ${fresh}`,
    `      ${because1(lifetime)}`,
    ...(cacheControl === undefined ? [] : [`      Cache-Control: ${cacheControl}`]),
    ...(varyNames.length === 0 ? [] : [`      varies on ${varyNames.join(", ")}; this is for ${varyText(varyKey)}`]),
    ...(etag === undefined ? [] : [`      ETag: ${etag}`]),
    ...(lastModified === undefined ? [] : [`      Last-Modified: ${lastModified}`]),
    ...(tags.length === 0 ? [] : [`      tags ${tags.join(" ")}`]),
  ];
}
