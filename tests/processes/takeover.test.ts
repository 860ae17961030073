/**
 * CHECKLIST 65: a new webproxy takes the ports over from one that runs, while clients come and go: nobody is refused or cut short, the old one ends by itself, and from then
 * on the new one is the only one.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../chaos/child.ts";
import { BodyCheck, pathOf, sizeOf } from "../chaos/content.ts";
import { Conversation } from "../chaos/conversation.ts";
import { SeededRandom } from "../chaos/random.ts";
import { getfile } from "../support/getfile-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually, within } from "../support/within.ts";

const CLIENTS = 8;
const SIZES = [1, 1_024, 70_000, 1_048_576];

const CERTIFICATES = join(import.meta.dir, "../../packages/origin/test/certificates");
const TLS = ["--tls-cert", join(CERTIFICATES, "localhost.pem"), "--tls-key", join(CERTIFICATES, "localhost.key.pem")];

/** A connection for each request, in the three ways that there are: whoever is not served whole is told of. */
async function client(
  webproxy: Webproxy,
  number: number,
  isOver: () => boolean,
): Promise<{ served: number; failures: string[] }> {
  const random = new SeededRandom(number);
  const failures: string[] = [];
  let served = 0;
  while (!isOver()) {
    const wire = WIRES[(number + served) % WIRES.length]!;
    const path = pathOf(random.pick(SIZES), random.between(0, 3));
    const outcome = wire === "https" ? await askByTls(webproxy, path) : await ask(webproxy, wire, path);
    if (outcome === "whole") served++;
    else failures.push(`${wire} ${path}: ${outcome}`);
  }
  return { served, failures };
}

const WIRES = ["http", "getfile", "https"] as const;

async function ask(webproxy: Webproxy, wire: "http" | "getfile", path: string): Promise<string> {
  const conversation = new Conversation();
  if (!(await conversation.open(webproxy[wire]))) return "unreachable";
  const outcome = await conversation.ask({ wire, path });
  conversation.close();
  return outcome.kind === "whole" ? "whole" : JSON.stringify(outcome);
}

async function askByTls({ https }: Webproxy, path: string): Promise<string> {
  try {
    const response = await fetch(`https://${https.host}:${https.port}${path}`, {
      headers: { connection: "close" },
      tls: { rejectUnauthorized: false },
    });
    const body = await response.bytes();
    const version = Number(/^"(\d+)"$/.exec(response.headers.get("etag") ?? "")?.[1]);
    const isRight =
      response.status === 200 && body.length === sizeOf(path) && new BodyCheck(path, 0, version).take(body);
    return isRight ? "whole" : `status ${response.status}, ${body.length} bytes, version ${version}`;
  } catch (error) {
    return String(error);
  }
}

test("--takeover under load, over TLS too: no request fails, and the old one ends by itself", async () => {
  await using origin = new Child<{ port?: number }>(new URL("../chaos/origin-process.ts", import.meta.url).pathname);
  const { port } = await origin.heard();
  const options = { origin: `http://127.0.0.1:${port}` };
  const pool = ["--segments", "16", "--segment-size", "64KiB", ...TLS];
  await using old = await Webproxy.start({ ...options, args: [...pool, "--https-port", "0"] });
  const ports = [
    ...["--http-port", String(old.http.port), "--getfile-port", String(old.getfile.port)],
    ...["--https-port", String(old.https.port)],
  ];
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
  expect([next.http, next.getfile, next.https]).toEqual([old.http, old.getfile, old.https]);
  expect((await next.stats()).proxy!.counters.connectionsAccepted).toBeGreaterThan(0);
  // The port is the new one's: another one that does not take over is refused.
  const refused = await Webproxy.refusal({ ...options, args: [...pool, ...ports] });
  expect(refused).toMatchObject({ exitCode: 1 });
  expect(refused.stderr).toContain("another process does");
}, 120_000);

/** Whether somebody takes a port over just now, by the name that is held for that. */
function isTakenOver(port: number): boolean {
  const name = `@webproxy.${process.getuid?.() ?? 0}.127.0.0.1.${port}.heir`;
  return readFileSync("/proc/net/unix", "latin1")
    .split("\n")
    .some((line) => line.endsWith(name));
}

test("--takeover of what somebody takes over already is refused; who began goes on, and is the only one", async () => {
  await using old = await Webproxy.start({ origin: "demo" });
  const args = ["--http-port", String(old.http.port), "--getfile-port", String(old.getfile.port), "--takeover"];
  await using next = Webproxy.spawn({ origin: "demo", args });
  await eventually(20_000, "the takeover begins", () => isTakenOver(old.http.port));
  next.kill("SIGSTOP"); // it has begun, and is not done
  expect(isTakenOver(old.http.port)).toBe(true);
  const refused = await Webproxy.refusal({ origin: "demo", args });
  await Bun.sleep(2_500); // longer than anybody waits for an answer of whom it succeeds
  next.kill("SIGCONT");
  expect(refused).toMatchObject({ exitCode: 1 });
  expect(refused.stderr).toContain(`Cannot take over 127.0.0.1 port ${old.http.port}: `);
  await next.ready();
  expect((await within(30_000, "the end of the old one", old.ended())).exitCode).toBe(0);
  expect((await getfile(next.getfile, "/")).isComplete).toBe(true);
}, 120_000);

test("two --takeover at the same time: one of them stays, alone", async () => {
  await using old = await Webproxy.start({ origin: "demo" });
  const args = ["--http-port", String(old.http.port), "--getfile-port", String(old.getfile.port), "--takeover"];
  await using one = Webproxy.spawn({ origin: "demo", args });
  await using other = Webproxy.spawn({ origin: "demo", args });
  const ended = (webproxy: Webproxy) => webproxy.ended().then((how) => ({ webproxy, how }));
  const first = await within(60_000, "the end of one of the two", Promise.race([ended(one), ended(other)]));
  // Where one begins when the other is done, it takes the port over from that one, which ends as asked.
  const word = first.how.exitCode === 0 ? "webproxy ready" : "Cannot take over 127.0.0.1 port";
  expect(first.how.stdout + first.how.stderr).toContain(word);
  const last = first.webproxy === one ? other : one;
  await last.ready();
  expect((await within(30_000, "the end of the old one", old.ended())).exitCode).toBe(0);
  for (let times = 0; times < 20; times++) expect((await getfile(last.getfile, "/")).isComplete).toBe(true);
  // The ones that are gone have left nobody behind who listens: all clients are this one's.
  expect((await last.stats()).proxy!.counters.connectionsAccepted).toBeGreaterThanOrEqual(20);
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
