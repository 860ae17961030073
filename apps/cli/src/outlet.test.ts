import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorCode } from "./command-error.ts";
import { Outlet } from "./outlet.ts";

let directory: string;
let path: string;
let fildes: number[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "webproxy-outlet-"));
  path = join(directory, "pipe");
  fildes = [];
  Bun.spawnSync(["mkfifo", path]);
});

afterEach(() => {
  for (const one of fildes) closeSync(one);
  rmSync(directory, { recursive: true });
});

function open(flags: number): number {
  const one = openSync(path, flags);
  fildes.push(one);
  return one;
}

const openReader = () => open(constants.O_RDONLY | constants.O_NONBLOCK);

/** All that the pipe holds. */
function read(reader: number): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(65_536);
    try {
      const length = readSync(reader, chunk);
      if (length === 0) break;
      chunks.push(chunk.subarray(0, length));
    } catch (error) {
      if (errorCode(error) !== "EAGAIN") throw error;
      break;
    }
  }
  return Buffer.concat(chunks).toString();
}

async function readUntil(reader: number, end: string): Promise<string> {
  let text = "";
  while (!text.endsWith(end)) {
    text += read(reader);
    await Bun.sleep(5);
  }
  return text;
}

const lineOf = (number: number) => `line ${number} ${"x".repeat(number % 300)}\n`;
const linesOf = (count: number) => Array.from({ length: count }, (_, number) => lineOf(number));

describe("Outlet", () => {
  for (const { what, isOpenedAnew } of [
    { what: "a pipe", isOpenedAnew: true },
    { what: "what can not be opened anew", isOpenedAnew: false },
  ]) {
    /** A descriptor that blocks, as the one that is inherited. */
    const openBoth = () => {
      let reader = openReader();
      const writer = open(constants.O_WRONLY);
      if (!isOpenedAnew) closeSync(fildes.shift()!); // a pipe without a reader is refused
      const outlet = new Outlet(writer);
      if (!isOpenedAnew) reader = openReader();
      return { reader, outlet };
    };

    test(`does not wait for who reads ${what}: what is kept comes later, in order and whole`, async () => {
      const { reader, outlet } = openBoth();
      const lines = linesOf(1_000); // more than a pipe holds
      for (const line of lines) outlet.write(line);
      expect(await readUntil(reader, lines.at(-1)!)).toBe(lines.join(""));
      outlet.write("and on\n");
      expect(read(reader)).toBe("and on\n");
      outlet.close();
    });

    test(`loses whole lines where nobody reads ${what}, and tells how many`, async () => {
      const { reader, outlet } = openBoth();
      const lines = linesOf(10_000);
      const lost = Promise.withResolvers<number>();
      outlet.onLost = lost.resolve;
      for (let first = 0; first < lines.length; first += 7) outlet.write(lines.slice(first, first + 7).join(""));
      outlet.write(`${"y".repeat(1_000_000)}\n`);
      let text = "";
      const reading = setInterval(() => {
        text += read(reader);
      }, 5);
      const count = await lost.promise;
      clearInterval(reading);
      text += read(reader);
      const got = text.split("\n").slice(0, -1);
      expect(got.length).toBe(lines.length + 1 - count);
      expect(count).toBeGreaterThan(1);
      for (const line of got) expect(`${line}\n`).toBe(lineOf(Number(line.split(" ")[1])));
      outlet.close();
    });
  }

  test("writes a line that is longer than a pipe takes at a time", async () => {
    const reader = openReader();
    const outlet = new Outlet(open(constants.O_WRONLY));
    const long = `${"z".repeat(200_000)}\n`;
    outlet.write(`a\n${long}b\n`);
    expect(await readUntil(reader, "b\n")).toBe(`a\n${long}b\n`);
    outlet.close();
  });

  test("ends although nobody reads, and goes on where the reader has gone", () => {
    const reader = openReader();
    const outlet = new Outlet(open(constants.O_WRONLY));
    for (const line of linesOf(1_000)) outlet.write(line);
    closeSync(reader);
    fildes.shift();
    outlet.write("nobody\n");
    outlet.close();
    openReader();
    const stuck = new Outlet(fildes[0]!);
    for (const line of linesOf(1_000)) stuck.write(line);
    stuck.close();
  });

  test("writes all to a file at once", () => {
    const file = join(directory, "file");
    const one = openSync(file, "a");
    fildes.push(one);
    const lines = linesOf(10_000);
    const outlet = new Outlet(one);
    outlet.write(lines.join(""));
    expect(readFileSync(file, "utf8")).toBe(lines.join(""));
    outlet.close();
  });
});
