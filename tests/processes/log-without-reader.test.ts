/** Whoever reads standard error stops reading: no process waits for that. Requests are served, what dies is replaced, a stop is a stop; what is missing from the logs then is said in them once they are read again. */
import { expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const SOON_MS = 30_000;
/** Its line in the access log is a thousand times as long: these are more than the pipe and the supervisor keep. */
const REQUESTS = 1_500;
const AT_ONCE = 50;
const QUERY = "q".repeat(1_000);

/** A pipe that somebody holds open and reads when told to. */
class StuckReader implements Disposable {
  readonly path: string;
  readonly #fildes: number;
  text = "";

  constructor(directory: TempDirectory) {
    this.path = directory.file("pipe");
    Bun.spawnSync(["mkfifo", "-m", "666", this.path]);
    this.#fildes = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** What has come until now. */
  read(): string {
    const chunk = Buffer.alloc(65_536);
    try {
      for (let length = 1; length > 0; ) {
        length = readSync(this.#fildes, chunk);
        this.text += chunk.toString("utf8", 0, length);
      }
    } catch {} // no more just now
    return this.text;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fildes);
  }
}

/** Whose standard error is this pipe, in which each request is logged too. */
function start(reader: StuckReader): Promise<Webproxy> {
  const wrap = ["sh", "-c", 'exec "$@" 2>"$0"', reader.path];
  return Webproxy.start({ origin: "demo", args: ["--access-log", "-"], wrap });
}

/** More is logged than the pipe has room for. */
async function fill(webproxy: Webproxy): Promise<void> {
  for (let request = 0; request < REQUESTS; request += AT_ONCE) {
    const requests = Array.from({ length: AT_ONCE }, () => http(webproxy.http, `/?${QUERY}`, { timeoutMs: SOON_MS }));
    for (const { isComplete } of await Promise.all(requests)) expect(isComplete).toBe(true);
  }
}

for (const side of ["proxy", "cache"] as const) {
  test(`a standard error that nobody reads: a ${side} that dies is replaced, and what is missing is told`, async () => {
    using directory = new TempDirectory({ mode: 0o777 });
    using reader = new StuckReader(directory);
    await using webproxy = await start(reader);
    await fill(webproxy);
    const { pid } = (await webproxy.stats())[side]!;
    process.kill(pid, "SIGKILL");
    await eventually(SOON_MS, `another ${side} serves`, async () => {
      const { [side]: one } = await webproxy.stats();
      return one?.state === "serving" && one.pid !== pid;
    });
    expect(await http(webproxy.http, "/")).toMatchObject({ status: "200", isComplete: true });
    const missing = "lines are missing from the access log: whoever reads it did not go on";
    await eventually(SOON_MS, "what is missing is told", () => reader.read().includes(missing));
    expect(reader.text).toContain(`the ${side} process was ended by SIGKILL; starting it again at once`);
    for (const line of reader.text.split("\n").slice(0, -1)) expect(() => JSON.parse(line)).not.toThrow();
    expect((await webproxy.stop()).exitCode).toBe(0);
  }, 120_000);
}

test("a standard error that nobody reads: SIGTERM is an orderly stop", async () => {
  using directory = new TempDirectory({ mode: 0o777 });
  using reader = new StuckReader(directory);
  await using webproxy = await start(reader);
  await fill(webproxy);
  expect((await webproxy.stop()).exitCode).toBe(0);
  await webproxy.expectNothingLeft(0);
  expect(reader.read()).not.toContain("killing");
}, 120_000);
