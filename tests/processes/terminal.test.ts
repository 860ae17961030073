/** On a terminal: what is written there stops nobody, also where it stops who writes in the background (`stty tostop`), and Ctrl-C is the supervisor's. */
import { expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import { http } from "../support/http-client.ts";
import { ipcObjectsOf } from "../support/left-overs.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Terminal } from "../support/terminal.ts";
import { MAIN, ownChannel } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const PATIENCE_MS = 45_000;

test.skipIf(Bun.which("tmux") === null)(
  "on a terminal that stops who writes in the background, processes that log go on",
  async () => {
    using directory = new TempDirectory();
    const channel = ownChannel();
    const port = freePort();
    const options = [
      "--http-port",
      `${port}`,
      "--getfile-port",
      "0",
      "--admin-port",
      "0",
      "--cache-dir",
      directory.path,
    ];
    const webproxy = [
      process.execPath,
      MAIN,
      "--origin",
      `http://127.0.0.1:${freePort()}`,
      "--channel",
      channel,
      ...options,
    ];
    using terminal = new Terminal({ columns: 400, rows: 50 }, ["sh", "-c", `stty tostop; exec ${webproxy.join(" ")}`]);
    const shown = () => terminal.screen.join("\n");
    const shows = (what: string, pattern: RegExp) =>
      eventually(
        PATIENCE_MS,
        () => `${what}; the screen: ${shown()}`,
        () => pattern.test(shown()),
      );
    await shows("the ready line", /^webproxy ready /m);
    for (const path of ["/1", "/2", "/3"]) expect((await http({ host: "127.0.0.1", port }, path)).status).toBe("502");
    await shows("what the cache says of its origin", /\/1/);
    terminal.type("C-c");
    await shows("the end", /exit code 0/);
    expect(shown()).not.toMatch(/stopped|stands still|killing|restart/i);
    expect(ipcObjectsOf(channel)).toEqual([]);
  },
  120_000,
);
