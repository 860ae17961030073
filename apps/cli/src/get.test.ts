import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandError } from "./command-error.ts";
import { runGet } from "./get.ts";
import { parseOptions } from "./options.ts";

let directory: string;
const servers: Server[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "webproxy-get-"));
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(directory, { recursive: true });
});

/** A GETFILE server that does as told once it has the whole request; resolves to its port. */
function serve(answer: (socket: Socket, request: string) => void): Promise<number> {
  const server = createServer((socket) => {
    let request = "";
    socket.setEncoding("latin1").on("error", () => {});
    socket.on("data", (text) => {
      request += text;
      if (request.endsWith("\r\n\r\n")) answer(socket, request);
    });
  });
  servers.push(server);
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
}

function get(port: number, path: string, wire = "crlf", stop = new AbortController().signal): Promise<number> {
  const options = parseOptions({ flags: { getfilePort: port, getfileWire: wire } });
  return runGet({ path, output: join(directory, "file"), options, stop });
}

async function refusalOf(pending: Promise<number>): Promise<CommandError> {
  const outcome = await pending.catch((error: unknown) => error);
  if (outcome instanceof CommandError) return outcome;
  throw new Error(`not refused but ${outcome}`);
}

describe("runGet()", () => {
  test("writes exactly the body, in pieces or at once, on both wires", async () => {
    const body = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index & 0xff));
    for (const [wire, head] of [
      ["crlf", "GETFILE OK 100000\r\n\r\n"],
      ["pr3", "GETFILE OK 100000 "],
    ] as const) {
      const requests: string[] = [];
      const port = await serve(async (socket, request) => {
        requests.push(request);
        for (const byte of head) {
          socket.write(byte, "latin1");
          await Bun.sleep(0);
        }
        socket.write(body.subarray(0, 99_999));
        await Bun.sleep(5);
        socket.write(Buffer.concat([body.subarray(99_999), Buffer.from("ignored")]));
      });
      expect(await get(port, "/a file", wire)).toBe(0);
      expect(readFileSync(join(directory, "file")).equals(body)).toBeTrue();
      expect(requests).toEqual(["GETFILE GET /a%20file\r\n\r\n"]);
      expect(readdirSync(directory)).toEqual(["file"]);
    }
  });

  test("writes an empty file", async () => {
    const port = await serve((socket) => socket.end("GETFILE OK 0 \r\n\r\n"));
    expect(await get(port, "/empty")).toBe(0);
    expect(readFileSync(join(directory, "file")).length).toBe(0);
  });

  const failures: readonly [string, (socket: Socket) => void, RegExp][] = [
    ["FILE_NOT_FOUND", (socket) => socket.end("GETFILE FILE_NOT_FOUND \r\n\r\n"), /: FILE_NOT_FOUND$/],
    ["ERROR", (socket) => socket.end("GETFILE ERROR \r\n\r\n"), /: ERROR$/],
    ["a body that ends short", (socket) => socket.end("GETFILE OK 10\r\n\r\nfour"), /after 4 of 10 bytes/],
    [
      "a reset",
      (socket) => socket.write("GETFILE OK 10\r\n\r\nfour", () => socket.resetAndDestroy()),
      /ECONNRESET|after \d of 10 bytes/,
    ],
    ["an end before the head", (socket) => socket.end("GETFILE OK 1"), /before the response began/],
    ["no GETFILE at all", (socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n"), /no GETFILE response \(unknown-scheme\)/],
    ["the other wire", (socket) => socket.end("GETFILE OK 3 abc"), /the other wire; try --wire pr3/],
  ];
  for (const [what, answer, message] of failures) {
    test(`fails at ${what}, removes what it wrote and keeps what was there`, async () => {
      writeFileSync(join(directory, "file"), "before");
      const refusal = await refusalOf(get(await serve(answer), "/x"));
      expect([refusal.exitCode, refusal.message]).toEqual([1, expect.stringMatching(message)]);
      expect(refusal.message).toStartWith("Cannot get /x from 127.0.0.1:");
      expect(readdirSync(directory)).toEqual(["file"]);
      expect(readFileSync(join(directory, "file"), "utf8")).toBe("before");
    });
  }

  test("says what to do when nobody listens", async () => {
    const port = await serve(() => {});
    await new Promise((resolve) => servers.pop()!.close(resolve));
    const refusal = await refusalOf(get(port, "/x"));
    expect(refusal.message).toContain("ECONNREFUSED; is webproxy running there?");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("leaves nothing when it is stopped half-way", async () => {
    const stop = new AbortController();
    const port = await serve((socket) =>
      socket.write("GETFILE OK 10\r\n\r\nfour", () => setTimeout(() => stop.abort(), 20)),
    );
    const refusal = await refusalOf(get(port, "/x", "crlf", stop.signal));
    expect(refusal.message).toContain("it was stopped");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("refuses a place that can not be written, before it asks anybody", async () => {
    const options = parseOptions({ flags: { getfilePort: 1 } });
    const output = join(directory, "none", "file");
    const refusal = await refusalOf(runGet({ path: "/x", output, options, stop: new AbortController().signal }));
    expect(refusal.message).toBe(`Cannot write ${output}: ENOENT; give another file with -o`);
  });

  test("writes a device directly", async () => {
    const port = await serve((socket) => socket.end("GETFILE OK 3\r\n\r\nabc"));
    const options = parseOptions({ flags: { getfilePort: port } });
    expect(await runGet({ path: "/x", output: "/dev/null", options, stop: new AbortController().signal })).toBe(0);
  });
});
