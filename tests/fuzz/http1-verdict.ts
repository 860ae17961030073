import { readdirSync, readFileSync } from "node:fs";
import { METHODS } from "node:http";
import { join } from "node:path";
import { isSameMessages, type Stream, type StreamReading } from "./http1-stream.ts";

const VECTORS = join(import.meta.dir, "..", "vectors", "http1");

/** `kind reason` for each reason for which we refuse what llhttp takes: those that a vector shows and argues. */
const ARGUED: ReadonlySet<string> = new Set(
  readdirSync(VECTORS)
    .flatMap((file) => JSON.parse(readFileSync(join(VECTORS, file), "utf8")) as ArguedVector[])
    .filter((vector) => vector.llhttp !== undefined && vector.expect.outcome === "refused")
    .map((vector) => `${vector.kind} ${vector.expect.reason}`),
);

interface ArguedVector {
  kind: Stream["kind"];
  expect: StreamReading;
  llhttp?: { because: string };
}

/**
 * Why two readings of one stream must not differ as they do; `undefined` when they may. Where both take a message they
 * take the same one, with the same end; where only llhttp takes it, a vector argues why; where only we do, it is our bug,
 * but for what llhttp is known to refuse without need.
 */
export function disagreement(stream: Stream, ours: StreamReading, theirs: StreamReading): string | undefined {
  const both = Math.min(ours.messages.length, theirs.messages.length);
  if (!isSameMessages(ours.messages.slice(0, both), theirs.messages.slice(0, both))) return "both took it, differently";
  if (isMisreadByLlhttp(stream, ours, theirs)) return undefined;
  if (ours.messages.length > theirs.messages.length) return "only we took a message";
  if (ours.outcome === "refused") {
    const isStricter = theirs.outcome !== "refused" || theirs.messages.length > both;
    if (!isStricter || theirs.outcome === "incomplete" || ARGUED.has(`${stream.kind} ${ours.reason}`)) return undefined;
    return `we refuse for a reason that no vector argues: ${ours.reason}`;
  }
  if (theirs.messages.length > both) return "only llhttp took a message";
  // Neither takes a message that is cut short; llhttp refuses some of them before they are whole, as we do others.
  if (ours.outcome === "incomplete" && theirs.outcome !== "last") return isWaitingForNothing(stream, theirs);
  const isAtEnd = ENDS.has(ours.outcome) && ENDS.has(theirs.outcome);
  return isAtEnd || ours.outcome === theirs.outcome ? undefined : `the end: ${ours.outcome}, llhttp ${theirs.outcome}`;
}

/** An empty line after the last message may be the one before the next (RFC 9112 section 2.2); llhttp drops it at once. */
function isWaitingForNothing(stream: Stream, theirs: StreamReading): string | undefined {
  if (theirs.outcome !== "end" || /\r\n?$/.test(stream.bytes)) return undefined;
  return "we wait for more, llhttp does not";
}

const LISTED: ReadonlySet<string> = new Set(METHODS);

/** Whether the last message that a reader took ends the use of HTTP shows only when more bytes follow. */
const ENDS: ReadonlySet<StreamReading["outcome"]> = new Set(["end", "last"]);

/** Where llhttp is known to be wrong; docs/http-parsing.md has each with its reason. */
function isMisreadByLlhttp(stream: Stream, ours: StreamReading, theirs: StreamReading): boolean {
  // RFC 9110 section 9.1: any token is a method. llhttp has a list.
  const refused = ours.messages[theirs.messages.length];
  if (theirs.reason === "HPE_INVALID_METHOD" && refused?.method !== undefined) return !LISTED.has(refused.method);
  // RFC 9110 section 5.6.3: optional whitespace may be HTAB. llhttp takes "close" HTAB for some other option, and reads on behind it.
  const readsOn = theirs.outcome !== "last" || theirs.messages.length > ours.messages.length;
  const hasEnded = ours.outcome === "last" && readsOn;
  if (hasEnded && /^connection:[^\r\n]*close[ \t]*\t/im.test(stream.bytes)) return true;
  if (ours.outcome !== "last") return false;
  const last = ours.messages.at(-1)!;
  // RFC 9110 section 15.2.2: 101 ends HTTP. llhttp ends it when Connection and Upgrade are there too, and else reads on.
  if (last.status === 101) return true;
  // RFC 9112 section 9.3: close before all else. In HTTP/1.0 llhttp lets keep-alive win.
  const connection = last.fields.flatMap(([name, value]) => (/^connection$/i.test(name) ? [value] : [])).join();
  return /HTTP\/1\.0/.test(stream.bytes) && /close/i.test(connection) && /keep-alive/i.test(connection);
}
