import { closeSync } from "node:fs";
import { Hono } from "hono";
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

/** Up to here a body is read before the head goes out, and known to be of one version; beyond, the kernel sends it (sendfile). */
const IN_MEMORY_BYTES_MAX = 1024 * 1024;
/**
 * File systems take their time stamps from the timer tick, at worst 10 ms long: two writes within one look like one. Once a
 * file has been left alone for longer, its entity tag is good.
 */
const SETTLED_AFTER_MS = 20;
const OPENINGS_MAX = 3;

/**
 * The files below `root` over HTTP: GET and HEAD, strong entity tags, conditional requests, single ranges, always a
 * Content-Length. Files whose name begins with a dot, and whatever is not below `root`, do not exist.
 *
 * A large file that is overwritten in place while it is sent goes out mixed, as from every server: replace files by renaming.
 *
 * @param root As `realpath` gives it.
 */
export function embeddedOriginApp(root: string): Hono {
  const app = new Hono();
  app.get("*", async (context) => {
    const segments = pathSegments(new URL(context.req.raw.url).pathname);
    if (segments === undefined) return notFound();
    for (let opening = 1; ; opening++) {
      const file = openServedFile(root, segments);
      if (file === undefined) return notFound();
      const response = await respond(context.req.raw, file, opening === OPENINGS_MAX).finally(() => release(file));
      if (response !== "changed-meanwhile") return response;
    }
  });
  app.all("*", () => plain(405, "Cannot do that here: only GET and HEAD\n", { allow: "GET, HEAD" }));
  app.onError((error) => plain(503, `Cannot read the file: ${"code" in error ? error.code : "EIO"}\n`));
  return app;
}

// Bun opens /proc/self/fd/N as it begins to send, before it returns to the event loop: from the next turn on it has its own descriptor.
function release(file: ServedFile): void {
  setTimeout(() => closeSync(file.fildes), 0);
}

async function respond(
  request: Request,
  file: ServedFile,
  isLastOpening: boolean,
): Promise<Response | "changed-meanwhile"> {
  if (await changedWithinTick(file)) return isLastOpening ? restless() : "changed-meanwhile";
  const validators = validatorsOf(file.version);
  const fields = headFields(file, validators);
  const verdict = evaluate(request.headers, validators);
  if (verdict !== "go-on") return new Response(null, { status: verdict, headers: verdict === 304 ? fields : {} });

  const range = wantedRange(request, file, validators);
  if (range.kind === "unsatisfiable") {
    return plain(416, "Cannot send that range: the file is shorter\n", { "content-range": `bytes */${file.bytes}` });
  }
  const { offset, length } = range.kind === "whole" ? { offset: 0, length: file.bytes } : range;
  const status = range.kind === "whole" ? 200 : 206;
  if (status === 206) fields.set("content-range", `bytes ${offset}-${offset + length - 1}/${file.bytes}`);
  fields.set("content-length", String(length));
  if (request.method === "HEAD") return new Response(null, { status, headers: fields });
  if (length > IN_MEMORY_BYTES_MAX)
    return new Response(sendfileBody(file, offset, length), { status, headers: fields });

  const bytes = readServedFile(file, offset, length);
  if (bytes !== undefined && isSameVersion(file.version, versionOf(file.fildes)))
    return new Response(bytes, { status, headers: fields });
  return isLastOpening ? restless() : "changed-meanwhile";
}

async function changedWithinTick(file: ServedFile): Promise<boolean> {
  const ageMs = Date.now() - Number(file.version.ctimeNs / 1_000_000n);
  if (ageMs < 0 || ageMs >= SETTLED_AFTER_MS) return false;
  await Bun.sleep(SETTLED_AFTER_MS);
  return !isSameVersion(file.version, versionOf(file.fildes));
}

function restless(): Response {
  return plain(503, "Cannot send the file: it changes all the time\n", { "retry-after": "1" });
}

function wantedRange(request: Request, file: ServedFile, validators: Validators) {
  const isWanted = request.method === "GET" && rangeApplies(request.headers.get("if-range"), validators, Date.now());
  return parseRange(isWanted ? request.headers.get("range") : null, file.bytes);
}

// By path and not by descriptor: Bun 1.4.5 sends the whole file's length ahead of a slice of Bun.file(number), and never closes it.
function sendfileBody(file: ServedFile, offset: number, length: number): Blob {
  return Bun.file(`/proc/self/fd/${file.fildes}`).slice(offset, offset + length);
}

function headFields(file: ServedFile, validators: Validators): Headers {
  return new Headers({
    "content-type": contentTypeOf(file.name),
    "content-disposition": "inline", // or Bun names the descriptor's number there
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
  return new Response(text, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", ...fields },
  });
}
