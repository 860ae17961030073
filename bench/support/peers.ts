import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { TempDirectory } from "../../tests/support/temp-directory.ts";
import { eventually } from "../../tests/support/within.ts";

/** A program of Debian's, also one for the administrator. */
export function find(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin` });
}

/** Ends this process when a program is missing, and says which package has it. */
export function requirePrograms(...programs: readonly string[]): void {
  const missing = programs.filter((name) => find(name) === null);
  if (missing.length === 0) return;
  console.error(`Cannot measure: there is no ${missing.join(", no ")}; Debian's packages of those names have them`);
  process.exit(1);
}

/** Hundredths of a second of processor time that these processes have used. */
export function ticksOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]!.split(" ");
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").split(" ").filter(Boolean).map(Number),
  );
}

/** Once it answers, with whatever status. */
export async function listens(name: string, port: number): Promise<void> {
  await eventually(10_000, `${name} listens`, () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    ),
  );
}

/** An nginx with two workers, in the foreground. @param http Directives beside its server. */
export async function nginx(
  directory: TempDirectory,
  { name, port, http = "", location }: { name: string; port: number; http?: string; location: string },
) {
  const { path } = directory;
  const file = directory.file(`${name}.conf`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (one) => `${one}_temp_path ${path}/${name};`,
  );
  writeFileSync(
    file,
    `daemon off; worker_processes 2; pid ${path}/${name}.pid; error_log stderr crit; events { worker_connections 4096; }
     http { access_log off; keepalive_requests 100000000; client_max_body_size 0; ${temporary.join(" ")} ${http}
       server { listen 127.0.0.1:${port} reuseport; ${location} } }`,
  );
  const child = Bun.spawn([find("nginx")!, "-e", "stderr", "-c", file], { stdio: ["ignore", "ignore", "inherit"] });
  await listens(name, port);
  return child;
}

/** One of those that are compared. */
export interface Peer {
  name: string;
  port: number;
  /** Whose processor time counts. */
  pids: () => number[];
}

export interface Measured {
  perSecond: number;
  /** Of processor time for each request. */
  microseconds: number;
  p99: string;
}

/** Lets wrk ask `peer` for a while. @param script In Lua. */
export async function measure(
  { name, port, pids }: Peer,
  { seconds, conns, script }: { seconds: number; conns: number; script: string },
): Promise<Measured> {
  const before = ticksOf(pids());
  const args = ["-t", "1", "-c", String(conns), "-d", `${seconds}s`, "--latency", "-s", script];
  const child = Bun.spawn([find("wrk")!, ...args, `http://127.0.0.1:${port}/x`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = await new Response(child.stdout).text();
  const requests = Number(/(\d+) requests in/.exec(said)?.[1]);
  if (/Non-2xx|Socket errors/.test(said)) console.log(`${name}:\n${said}`);
  const ticks = ticksOf(pids()) - before;
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(said)?.[1]),
    microseconds: (ticks * 10_000) / requests,
    p99: /99%\s+(\S+)/.exec(said)?.[1] ?? "?",
  };
}

/**
 * Takes turns, after a turn that does not count: code that is compiled as it runs has to have run.
 *
 * @param scriptFor What wrk does in a turn.
 */
export async function takeTurns(
  peers: readonly Peer[],
  options: { rounds: number; seconds: number; conns: number; warmUpSeconds: number },
  scriptFor: (peer: Peer, round: number) => string,
): Promise<Map<string, Measured[]>> {
  const results = new Map(peers.map(({ name }) => [name, [] as Measured[]]));
  for (const peer of peers)
    await measure(peer, { ...options, seconds: options.warmUpSeconds, script: scriptFor(peer, -1) });
  for (let round = 0; round < options.rounds; round++)
    for (const peer of peers)
      results.get(peer.name)!.push(await measure(peer, { ...options, script: scriptFor(peer, round) }));
  return results;
}
