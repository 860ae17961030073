/** CHECKLIST 65: who is being served when a stop is asked for is served to the end; who comes later is not let in, and no response is cut short. */
import { expect, test } from "bun:test";
import { Child } from "../chaos/child.ts";
import { Clients } from "../chaos/clients.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

test("SIGTERM under load: what was begun is finished, and nothing is cut short", async () => {
  await using origin = new Child<{ port?: number }>(new URL("../chaos/origin-process.ts", import.meta.url).pathname);
  const { port } = await origin.heard();
  await using webproxy = await Webproxy.start({
    origin: `http://127.0.0.1:${port}`,
    args: ["--segments", "16", "--segment-size", "64KiB"],
  });
  const clients = new Clients({ http: webproxy.http, getfile: webproxy.getfile }, 12, 65, { patient: true });
  await eventually(60_000, "clients are served", () => clients.tally.whole > 100);
  const stopped = webproxy.stop("SIGTERM");
  await eventually(30_000, "nobody is let in any more", () => clients.tally.unreachable > 10);
  await clients.stop();
  expect({ ...clients.tally, complaints: clients.complaints }).toMatchObject({
    broken: 0,
    wrong: 0,
    hang: 0,
    complaints: [],
  });
  expect((await stopped).exitCode).toBe(0);
}, 120_000);
