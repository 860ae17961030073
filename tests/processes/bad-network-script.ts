/**
 * What bad-network.test.ts has done inside the client's network namespace: webproxy and the origin are in namespaces of their own, and every packet between them and
 * us crosses a line that loses and delays. Prints "fine" and what made the lines bad, or says what was not.
 *
 *   bad-network-script.ts PID-OF-PROXY'S-NAMESPACE PID-OF-ORIGIN'S
 */
import { readFileSync } from "node:fs";
import { Child } from "../chaos/child.ts";
import { pathOf } from "../chaos/content.ts";
import { Conversation, type Outcome } from "../chaos/conversation.ts";
import { Webproxy } from "../support/webproxy.ts";

const [proxyNamespace = "", originNamespace = ""] = process.argv.slice(2);
const NETWORK = { client: "10.99.1.1", proxyToClient: "10.99.1.2", proxyToOrigin: "10.99.2.1", origin: "10.99.2.2" };
const within = (pid: string) => ["nsenter", "--target", pid, "--net"];

/** One direction is as bad as the other. */
class Line implements Disposable {
  madeBadBy = "";
  readonly #process;

  private constructor(args: readonly string[]) {
    this.#process = Bun.spawn(["python3", new URL("../support/lossy-link.py", import.meta.url).pathname, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
  }

  static async between(pidA: string, addressA: string, pidB: string, addressB: string): Promise<Line> {
    const line = new Line([pidA, addressA, pidB, addressB]);
    const { value } = await line.#process.stdout.getReader().read();
    const [, by] = /^up (netem|relay)$/.exec(new TextDecoder().decode(value).trim()) ?? [];
    if (by === undefined) throw new Error("The line does not come up");
    line.madeBadBy = by;
    return line;
  }

  be({ delayMs, jitterMs, loss }: { delayMs: number; jitterMs: number; loss: number }): void {
    this.#process.stdin.write(`${delayMs} ${jitterMs} ${loss}\n`);
    void this.#process.stdin.flush();
  }

  [Symbol.dispose](): void {
    this.#process.kill("SIGKILL");
  }
}

const BAD = { delayMs: 15, jitterMs: 10, loss: 0.02 };
const CUT = { delayMs: 0, jitterMs: 0, loss: 1 };

using toProxy = await Line.between("self", NETWORK.client, proxyNamespace, NETWORK.proxyToClient);
using toOrigin = await Line.between(proxyNamespace, NETWORK.proxyToOrigin, originNamespace, NETWORK.origin);
await using origin = new Child<{ port?: number }>(new URL("../chaos/origin-process.ts", import.meta.url).pathname, {
  args: [NETWORK.origin],
  wrap: within(originNamespace),
});
const { port } = await origin.heard();
await using webproxy = await Webproxy.start({
  origin: `http://${NETWORK.origin}:${port}`,
  wrap: within(proxyNamespace),
  args: [
    "--host",
    NETWORK.proxyToClient,
    "--admin-host",
    NETWORK.proxyToClient,
    "--segments",
    "16",
    "--segment-size",
    "64KiB",
  ],
});

type Got = Outcome & { wire: string; path: string };

async function get(wire: "http" | "getfile", path: string): Promise<Got> {
  const conversation = new Conversation();
  const isOpen = await conversation.open(wire === "http" ? webproxy.http : webproxy.getfile);
  const outcome: Outcome = isOpen ? await conversation.ask({ wire, path }) : { kind: "broken" };
  conversation.close();
  return { ...outcome, wire, path };
}

/** Small and large ones both ways, all at once; `run` makes them others than before. */
function getAll(run: string): Promise<Got[]> {
  const paths = [1, 1_024, 65_536, 300_001].flatMap((size) => [pathOf(size, `${run}a`), pathOf(size, `${run}b`)]);
  return Promise.all(paths.flatMap((path) => [get("http", path), get("getfile", path)]));
}

function expectAll(what: string, outcomes: readonly Got[], allowed: readonly Outcome["kind"][]): void {
  const others = outcomes.filter(({ kind }) => !allowed.includes(kind));
  if (others.length > 0) throw new Error(`${what}: ${JSON.stringify(others)}; webproxy said ${webproxy.stderr}`);
}

/** Segments that TCP had to send again in the three namespaces, which have just been made. */
function sentAgain(): number {
  return ["self", proxyNamespace, originNamespace].reduce((sum, pid) => sum + sentAgainBy(pid), 0);
}

function sentAgainBy(pid: string): number {
  const [names = "", values = ""] = readFileSync(`/proc/${pid}/net/snmp`, "latin1")
    .split("\n")
    .filter((line) => line.startsWith("Tcp: "));
  return Number(values.split(" ")[names.split(" ").indexOf("RetransSegs")]);
}

async function connectMs(): Promise<number> {
  const began = performance.now();
  const { host: hostname, port } = webproxy.http;
  const socket = await Bun.connect({ hostname, port, socket: { data() {} } });
  socket.terminate();
  return performance.now() - began;
}

for (const line of [toProxy, toOrigin]) line.be(BAD);
expectAll("a bad line", await getAll("bad"), ["whole"]);
if (!(sentAgain() > 0)) throw new Error(`No packet was lost: TCP sent ${sentAgain()} again`);
// There and back, or the line is not as slow as it was made.
for (let time = 0; time < 5; time++) {
  const tookMs = await connectMs();
  if (tookMs < 2 * (BAD.delayMs - BAD.jitterMs)) throw new Error(`Nothing is delayed: connected after ${tookMs} ms`);
}

for (const [name, line] of [
  ["client", toProxy],
  ["origin", toOrigin],
] as const) {
  const running = getAll(name);
  await Bun.sleep(150);
  line.be(CUT);
  await Bun.sleep(2_000);
  line.be(BAD);
  // Two seconds are no reason to give up for anybody, but who does must not be silent about it.
  expectAll(`the line to the ${name} cut for two seconds`, await running, ["whole", "broken", "closed", "refused"]);
  expectAll(`the line to the ${name} after that`, await getAll(`${name}again`), ["whole"]);
}
for (const line of [toProxy, toOrigin]) line.be({ delayMs: 0, jitterMs: 0, loss: 0 });
await webproxy.segmentsReturned();
const { restarts } = await webproxy.stats();
if (restarts.proxy + restarts.cache > 0) throw new Error(`restarts: ${JSON.stringify(restarts)}`);
console.log(`fine, by ${toProxy.madeBadBy}`);
