/**
 * What does it cost to pass a request on that nobody may store? An nginx is the origin (1 KiB, `no-store`); another nginx and webproxy stand before it in
 * turns, on the same cores and in the same minutes. Printed for each: requests/s, and processor time of the proxy's processes for one request.
 * Then 1 GiB goes up and down through webproxy, and how much more memory its proxy process took. Needs nginx, wrk and curl.
 *
 *   bun run bench/pass-through.ts [--rounds 3] [--seconds 3] [--conns 64] [--warm-up 5]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { freePort } from "../tests/support/free-port.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";
import { childrenOf, nginx, type Peer, requirePrograms, takeTurns } from "./support/peers.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    conns: { type: "string", default: "64" },
    "warm-up": { type: "string", default: "5" },
  },
});
requirePrograms("nginx", "wrk", "curl");

async function transfer(webproxy: Webproxy, directory: TempDirectory): Promise<void> {
  const { pid } = (await webproxy.stats()).proxy!;
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) / 1024;
  const file = directory.file("1GiB");
  Bun.spawnSync(["truncate", "-s", "1G", file]);
  const url = `http://127.0.0.1:${webproxy.http.port}`;
  for (const [way, args] of [
    ["up", ["-T", file, "-H", "Expect:", `${url}/up`]],
    ["down", ["-X", "OPTIONS", `${url}/1GiB`]],
  ] as const) {
    const before = rss();
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, rss());
    }, 5);
    const started = performance.now();
    const child = Bun.spawn(
      ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_upload} %{size_download}", ...args],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const said = await new Response(child.stdout).text();
    clearInterval(timer);
    const ms = Math.round(performance.now() - started);
    console.log(`1 GiB ${way}: ${said}, ${ms} ms, ${(most - before).toFixed(0)} MiB more resident memory`);
  }
}

console.log(machine());
using directory = new TempDirectory({ mode: 0o777 });
const [originPort, nginxPort, bulkPort] = [freePort(), freePort(), freePort()];
const body = "x".repeat(1024);
const NO_STORE = "add_header Cache-Control no-store;";
const origin = await nginx(directory, {
  name: "origin",
  port: originPort,
  location: `location / { ${NO_STORE} return 200 "${body}"; }`,
});
const upstream = `upstream o { server 127.0.0.1:${originPort}; keepalive 128; }`;
const location =
  'location / { proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering on; }';
const peer = await nginx(directory, { name: "peer", port: nginxPort, http: upstream, location });
// Takes whatever is sent, and gives 1 GiB to whoever asks for it.
const bulk = Bun.serve({
  hostname: "127.0.0.1",
  port: bulkPort,
  maxRequestBodySize: 2 * 1024 ** 3,
  async fetch(request) {
    if (request.method === "OPTIONS") return new Response(Bun.file(directory.file("1GiB")));
    let bytes = 0;
    for await (const chunk of request.body ?? []) bytes += chunk.length;
    return new Response(String(bytes));
  },
});
const webproxy = await Webproxy.start({ origin: `http://127.0.0.1:${originPort}`, args: ["--quiet"] });
try {
  const proxies: Peer[] = [
    { name: "nginx", port: nginxPort, pids: () => childrenOf(peer.pid) },
    { name: "webproxy", port: webproxy.http.port, pids: () => childrenOf(webproxy.pid) },
  ];
  for (const [what, method] of [
    ["POST", "POST"],
    ["GET that is not stored", "GET"],
  ] as const) {
    const script = directory.file(`${method}.lua`);
    writeFileSync(script, `wrk.method = "${method}"`);
    const options = {
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      conns: Number(values.conns),
      warmUpSeconds: Number(values["warm-up"]),
    };
    const results = await takeTurns(proxies, options, () => script);
    for (const [name, runs] of results) {
      const perSecond = Math.round(median(runs.map((run) => run.perSecond)));
      const cpu = median(runs.map((run) => run.microseconds)).toFixed(1);
      const [{ p99 } = { p99: "?" }] = runs;
      console.log(
        `${what}, ${name}: ${perSecond} requests/s, ${cpu} µs of processor time each, p99 ${p99} in the first`,
      );
    }
  }
  await using large = await Webproxy.start({ origin: `http://127.0.0.1:${bulkPort}`, args: ["--quiet"] });
  await transfer(large, directory);
} finally {
  await webproxy[Symbol.asyncDispose]();
  bulk.stop(true);
  for (const child of [origin, peer]) child.kill();
  await Promise.all([origin.exited, peer.exited]);
}
