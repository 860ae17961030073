/**
 * An origin in a process of its own, so that it goes on while its client works: resources of every size whose versions follow one another, some of
 * unknown length. Listens on the address it is given, or 127.0.0.1, and tells its port; "cut" closes it and breaks what is on its way, "heal" opens it again on the same port.
 */
import { bodyOf, piecesOf, sizeOf, VERSIONS } from "./content.ts";

const [ADDRESS = "127.0.0.1"] = process.argv.slice(2);
const VERSION_MS = 5_000;

function versionOf(path: string): number {
  return Math.floor((Date.now() + (Bun.hash.xxHash32(path) % VERSION_MS)) / VERSION_MS) % VERSIONS;
}

function answer(request: Request): Response {
  const path = new URL(request.url).pathname;
  if (!/^\/c\/\d+\/\w+$/.test(path)) return new Response(null, { status: 404 });
  const version = versionOf(path);
  const kind = Bun.hash.xxHash32(`kind ${path}`) % 4;
  const etag = `"${version}"`;
  // Most may be kept for a while, some have to be validated each time, some are not kept at all.
  const control = ["max-age=600", "max-age=2", "max-age=0", "no-store"][kind]!;
  const headers = { ETag: etag, "Cache-Control": path.includes("/1024/") ? "max-age=600" : control };
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  if (sizeOf(path) > 0 && Bun.hash.xxHash32(`framing ${path}`) % 3 === 0) {
    const pieces = [...piecesOf(path, version)];
    const stream = new ReadableStream({
      pull(controller) {
        const piece = pieces.shift();
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      },
    });
    return new Response(stream, { headers });
  }
  return new Response(bodyOf(path, version), { headers });
}

function listen(port: number) {
  return Bun.serve({
    hostname: ADDRESS,
    port,
    idleTimeout: 60,
    development: false,
    reusePort: false,
    fetch: answer,
  });
}

let server: ReturnType<typeof listen> | undefined = listen(0);
const port = server.port!;
process.on("message", async (message: "cut" | "heal") => {
  if (message === "cut") await server?.stop(true);
  server = message === "heal" ? listen(port) : undefined;
  process.send!({ done: message });
});
process.on("disconnect", () => process.exit(0));
process.send!({ port });
