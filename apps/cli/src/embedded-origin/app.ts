import { Hono } from "hono";
import { bodyStream } from "./body-stream.ts";
import { evaluate, rangeApplies, type Validators } from "./conditions.ts";
import { contentTypeOf } from "./content-type.ts";
import { parseRange } from "./range.ts";
import { pathSegments } from "./request-path.ts";
import {
  type FileVersion,
  isSameVersion,
  openServedFile,
  readServedFile,
  type ServedFile,
  versionOf,
} from "./served-file.ts";

/** Up to here a body is read before the head goes out, so that a change is noticed while there is still time to begin anew. */
const IN_MEMORY_BYTES_MAX = 1024 * 1024;
/**
 * File systems take their time stamps from the timer tick, at worst 10 ms long: two writes within one look like one. Once a
 * file has been left alone for longer, its entity tag is good.
 */
const SETTLED_AFTER_MS = 20;
const OPENINGS_MAX = 3;

/** A body's status line and fields, and where in the file it lies. */
interface Head {
  status: 200 | 206;
  fields: Headers;
  offset: number;
  length: number;
}

/**
 * The files below `root` over HTTP: GET and HEAD, strong entity tags, conditional requests, single ranges, always a
 * Content-Length. Files whose name begins with a dot, and whatever is not below `root`, do not exist.
 *
 * No response mixes two contents of a file: one that changes while a large body is on its way breaks that response off.
 *
 * @param root As `realpath` gives it.
 */
export function embeddedOriginApp(root: string): Hono {
  const app = new Hono();
  app.get("*", async (context) => {
    const segments = pathSegments(new URL(context.req.raw.url).pathname);
    if (segments === undefined) return notFound();
    for (let opening = 1; opening <= OPENINGS_MAX; opening++) {
      const file = openServedFile(root, segments);
      if (file === undefined) return notFound();
      const response = await respond(context.req.raw, file);
      if (response !== "changed-meanwhile") return response;
    }
    return plain(503, "Cannot send the file: it changes all the time\n", { "retry-after": "1" });
  });
  app.all("*", () => plain(405, "Cannot do that here: only GET and HEAD\n", { allow: "GET, HEAD" }));
  app.onError((error) => plain(503, `Cannot read the file: ${"code" in error ? error.code : "EIO"}\n`));
  return app;
}

/** Answers from the open file, which is closed then, or by the body that is still to be read from it. */
async function respond(request: Request, file: ServedFile): Promise<Response | "changed-meanwhile"> {
  using ownership = new DisposableStack();
  ownership.use(file);
  if (await changedWithinTick(file)) return "changed-meanwhile";
  const head = headFor(request, file);
  if (head instanceof Response) return head;
  const { status, fields, offset, length } = head;
  if (request.method === "HEAD") return new Response(null, { status, headers: fields });
  if (length > IN_MEMORY_BYTES_MAX) {
    ownership.move();
    return new Response(bodyStream(file, offset, length), { status, headers: fields });
  }
  const bytes = readServedFile(file, offset, length);
  const isWhole = bytes !== undefined && isSameVersion(file.version, versionOf(file.fildes));
  return isWhole ? new Response(bytes, { status, headers: fields }) : "changed-meanwhile";
}

/** The head of an answer with a body and which bytes that is; the whole answer where there is nothing to send. */
function headFor(request: Request, file: ServedFile): Head | Response {
  const validators = validatorsOf(file.version);
  const fields = headFields(file, validators);
  const verdict = evaluate(request.headers, validators);
  if (verdict === 304) return new Response(null, { status: 304, headers: fields });
  if (verdict === 412) return plain(412, "Cannot send the file: it is not the one that was meant\n");

  const range = wantedRange(request, file, validators);
  if (range.kind === "unsatisfiable") {
    return plain(416, "Cannot send that range: the file is shorter\n", { "content-range": `bytes */${file.bytes}` });
  }
  const { offset, length } = range.kind === "whole" ? { offset: 0, length: file.bytes } : range;
  fields.set("content-length", String(length));
  if (range.kind === "whole") return { status: 200, fields, offset, length };
  fields.set("content-range", `bytes ${offset}-${offset + length - 1}/${file.bytes}`);
  return { status: 206, fields, offset, length };
}

async function changedWithinTick(file: ServedFile): Promise<boolean> {
  const ageMs = Date.now() - Number(file.version.ctimeNs / 1_000_000n);
  if (ageMs < 0 || ageMs >= SETTLED_AFTER_MS) return false;
  await Bun.sleep(SETTLED_AFTER_MS);
  return !isSameVersion(file.version, versionOf(file.fildes));
}

function wantedRange(request: Request, file: ServedFile, validators: Validators) {
  const isWanted = request.method === "GET" && rangeApplies(request.headers.get("if-range"), validators, Date.now());
  return parseRange(isWanted ? request.headers.get("range") : null, file.bytes);
}

function headFields(file: ServedFile, validators: Validators): Headers {
  return new Headers({
    "content-type": contentTypeOf(file.name),
    "accept-ranges": "bytes",
    "cache-control": "max-age=60",
    date: new Date().toUTCString(),
    etag: validators.etag,
    "last-modified": new Date(validators.lastModifiedMs).toUTCString(),
  });
}

function validatorsOf(version: FileVersion): Validators {
  const parts = [version.dev, version.ino, version.size, version.mtimeNs, version.ctimeNs];
  return {
    etag: `"${parts.map((part) => part.toString(36)).join("-")}"`,
    // Never in the future (RFC 9110 section 8.8.2.1).
    lastModifiedMs: Math.min(Number(version.mtimeNs / 1_000_000_000n) * 1000, Math.floor(Date.now() / 1000) * 1000),
  };
}

function notFound(): Response {
  return plain(404, "Cannot find that file here\n");
}

function plain(status: number, text: string, fields: Record<string, string> = {}): Response {
  const length = String(Buffer.byteLength(text));
  const always = { "content-type": "text/plain; charset=utf-8", "content-length": length, "cache-control": "no-store" };
  return new Response(text, { status, headers: { ...always, ...fields } });
}
