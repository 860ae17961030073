/**
 * CHECKLIST 65: a new webproxy takes the ports over from one that runs, while clients come and go: nobody is refused or cut short, the old one ends by itself, and from then
 * on the new one is the only one.
 */
import { expect, test } from "bun:test";
import { Child } from "../chaos/child.ts";
import { pathOf } from "../chaos/content.ts";
import { Conversation } from "../chaos/conversation.ts";
import { SeededRandom } from "../chaos/random.ts";
import { Webproxy } from "../support/webproxy.ts";
import { within } from "../support/within.ts";

const CLIENTS = 8;
const SIZES = [1, 1_024, 70_000, 1_048_576];

/** A connection for each request, both ways: whoever is not served whole is told of. */
async function client(
  webproxy: Webproxy,
  number: number,
  isOver: () => boolean,
): Promise<{ served: number; failures: string[] }> {
  const random = new SeededRandom(number);
  const failures: string[] = [];
  let served = 0;
  while (!isOver()) {
    const wire = random.pick(["http", "getfile"] as const);
    const path = pathOf(random.pick(SIZES), random.between(0, 3));
    const conversation = new Conversation();
    const isOpen = await conversation.open(webproxy[wire]);
    const outcome = isOpen ? await conversation.ask({ wire, path }) : ({ kind: "unreachable" } as const);
    conversation.close();
    if (outcome.kind === "whole") served++;
    else failures.push(`${wire} ${path}: ${JSON.stringify(outcome)}`);
  }
  return { served, failures };
}

test("--takeover under load: no request fails, and the old one ends by itself", async () => {
  await using origin = new Child<{ port?: number }>(new URL("../chaos/origin-process.ts", import.meta.url).pathname);
  const { port } = await origin.heard();
  const options = { origin: `http://127.0.0.1:${port}` };
  const pool = ["--segments", "16", "--segment-size", "64KiB"];
  await using old = await Webproxy.start({ ...options, args: pool });
  const ports = ["--http-port", String(old.http.port), "--getfile-port", String(old.getfile.port)];
  let isOver = false;
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(old, number, () => isOver));
  await Bun.sleep(500);
  await using next = await Webproxy.start({ ...options, args: [...pool, ...ports, "--takeover"] });
  expect((await within(30_000, "the end of the old one", old.ended())).exitCode).toBe(0);
  await Bun.sleep(500);
  isOver = true;
  const results = await Promise.all(clients);
  expect(results.flatMap(({ failures }) => failures)).toEqual([]);
  for (const { served } of results) expect(served).toBeGreaterThan(0);
  expect(next.http.port).toBe(old.http.port);
  expect((await next.stats()).proxy!.counters.connectionsAccepted).toBeGreaterThan(0);
  // The port is the new one's: another one that does not take over is refused.
  const refused = await Webproxy.refusal({ ...options, args: [...pool, ...ports] });
  expect(refused).toMatchObject({ exitCode: 1 });
  expect(refused.stderr).toContain("another process does");
}, 120_000);

test("--takeover where nobody has the ports is an ordinary start, and of a stranger's port is refused", async () => {
  await using webproxy = await Webproxy.start({ origin: "demo", args: ["--takeover"] });
  expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
  const stranger = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    const refused = await Webproxy.refusal({
      origin: "demo",
      args: ["--takeover", "--http-port", String(stranger.port)],
    });
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain("another process does");
  } finally {
    stranger.stop(true);
  }
}, 60_000);
