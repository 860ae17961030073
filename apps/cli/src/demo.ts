import { closeSync, mkdirSync, openSync, renameSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { cannotRun, errorCode } from "./command-error.ts";
import { encodePng } from "./png.ts";

const DIRECTORY = join(".webproxy", "demo");
const LARGE_BYTES = 64 * 1024 * 1024;
const BLOCK_BYTES = 1024 * 1024;

const TEXT = `This is webproxy's demo origin.

The first time you ask for this file, the proxy asks the cache, the cache asks this origin, and the bytes come back
through shared memory. The second time the origin is not asked: look at the Cache-Status and Age fields of the response.
`;

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>webproxy demo</title>
<h1>webproxy demo</h1>
<p><a href="hello.txt">hello.txt</a>, <a href="large.bin">large.bin</a> (64 MiB)</p>
<img src="image.png" width="256" height="256" alt="A gradient">
</html>
`;

/**
 * The directory of `--origin demo`, with its files: made under the working directory at the first start, kept afterwards. Each
 * file is there whole or not at all, with the same bytes on every machine.
 *
 * @throws {CommandError} Exit code 1: the directory can not be written.
 */
export function makeDemoFiles(directory: string = resolve(DIRECTORY)): string {
  try {
    mkdirSync(directory, { recursive: true });
    makeOnce(join(directory, "index.html"), (path) => writeFileSync(path, PAGE));
    makeOnce(join(directory, "hello.txt"), (path) => writeFileSync(path, TEXT));
    makeOnce(join(directory, "image.png"), (path) => writeFileSync(path, demoImage()));
    makeOnce(join(directory, "large.bin"), writeLarge);
    return directory;
  } catch (error) {
    throw cannotRun(
      `Cannot make the demo's files in ${directory}: ${errorCode(error)}; start it in a directory that you may write, or give an origin with --origin`,
      error,
    );
  }
}

function makeOnce(path: string, make: (path: string) => void): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return;
  const partialPath = `${path}.${process.pid}.part`;
  make(partialPath);
  renameSync(partialPath, path);
}

function demoImage(): Uint8Array {
  return encodePng(256, 256, (x, y) => [x, y, (x ^ y) & 0xff]);
}

/** Bytes that no compression shrinks and no block repeats: xorshift32 from a fixed seed. */
function writeLarge(path: string): void {
  const fildes = openSync(path, "w");
  try {
    const words = new Uint32Array(BLOCK_BYTES / 4);
    const bytes = new Uint8Array(words.buffer);
    let state = 0x9e3779b9;
    for (let written = 0; written < LARGE_BYTES; ) {
      for (let index = 0; index < words.length; index++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        words[index] = state;
      }
      for (let done = 0; done < BLOCK_BYTES; ) done += writeSync(fildes, bytes, done);
      written += BLOCK_BYTES;
    }
  } finally {
    closeSync(fildes);
  }
}

/** Says what there is to try. */
export function announceDemo(
  { http, getfile }: { http: string; getfile: string },
  print: (line: string) => void,
): void {
  print("Three to try; ask twice, and the second answer comes from the cache (curl -i shows Cache-Status and Age):");
  print(`  http://${http}/hello.txt`);
  print(`  http://${http}/image.png`);
  print(`  getfile://${getfile}/large.bin    64 MiB: npx webproxy get getfile://${getfile}/large.bin -o large.bin`);
}
