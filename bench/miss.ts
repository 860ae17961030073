/**
 * What does it cost to fetch and store a response that nobody has asked for before? An nginx is the origin (1 KiB, `max-age=3600`); another nginx with
 * `proxy_cache`, Varnish with `malloc`, and webproxy stand before it in turns, on the same cores and in the same minutes; no target is asked for twice.
 * Printed for each: requests/s, p99, processor time of the cache's processes for one request. Needs nginx, varnish and wrk.
 *
 *   bun run bench/miss.ts [--rounds 3] [--seconds 3] [--conns 32] [--warm-up 5] [-- WEBPROXY OPTIONS]
 *
 * webproxy stores in memory and copies to disk behind the requests, as it does unless it is told otherwise; nginx stores on disk, Varnish in memory.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { freePort } from "../tests/support/free-port.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";
import { childrenOf, find, listens, nginx, type Peer, requirePrograms, takeTurns } from "./support/peers.ts";

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    conns: { type: "string", default: "32" },
    "warm-up": { type: "string", default: "5" },
  },
  allowPositionals: true,
});
requirePrograms("nginx", "varnishd", "wrk");

console.log(machine());
using directory = new TempDirectory({ mode: 0o777 });
const { path } = directory;
const [originPort, nginxPort, varnishPort] = [freePort(), freePort(), freePort()];
const origin = await nginx(directory, {
  name: "origin",
  port: originPort,
  location: `location / { add_header Cache-Control max-age=3600; return 200 "${"x".repeat(1024)}"; }`,
});
const peer = await nginx(directory, {
  name: "peer",
  port: nginxPort,
  http: `proxy_cache_path ${path}/nginx levels=1:2 keys_zone=c:256m max_size=8g inactive=1h use_temp_path=off;
    upstream o { server 127.0.0.1:${originPort}; keepalive 128; }`,
  location: `location / { proxy_pass http://o; proxy_cache c; proxy_cache_lock on; proxy_http_version 1.1; proxy_set_header Connection ""; }`,
});
const vcl = directory.file("default.vcl");
writeFileSync(vcl, `vcl 4.1; backend default { .host = "127.0.0.1"; .port = "${originPort}"; }`);
const listener = ["-F", "-a", `127.0.0.1:${varnishPort}`, "-f", vcl, "-s", "malloc,1g", "-n", `${path}/varnish`];
const varnish = Bun.spawn([find("varnishd")!, ...listener], { stdio: ["ignore", "ignore", "ignore"] });
await listens("varnish", varnishPort);
const webproxy = await Webproxy.start({
  origin: `http://127.0.0.1:${originPort}`,
  args: ["--quiet", "--threads", "2", ...positionals],
});
try {
  const peers: Peer[] = [
    { name: "nginx", port: nginxPort, pids: () => childrenOf(peer.pid) },
    { name: "varnish", port: varnishPort, pids: () => childrenOf(varnish.pid) },
    { name: "webproxy", port: webproxy.http.port, pids: () => childrenOf(webproxy.pid) },
  ];
  const options = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    conns: Number(values.conns),
    warmUpSeconds: Number(values["warm-up"]),
  };
  const results = await takeTurns(peers, options, ({ name }, round) => {
    const script = directory.file(`${name}.lua`);
    writeFileSync(
      script,
      `local n = 0\nrequest = function() n = n + 1; return wrk.format("GET", "/${name}/${round}/" .. n) end`,
    );
    return script;
  });
  for (const [name, runs] of results) {
    const perSecond = Math.round(median(runs.map((run) => run.perSecond)));
    const cpu = median(runs.map((run) => run.microseconds)).toFixed(1);
    console.log(
      `${name}: ${perSecond} requests/s, ${cpu} µs of processor time each, p99 ${runs.map(({ p99 }) => p99)}`,
    );
  }
  const { hits, misses } = await webproxy.stats();
  console.log(`webproxy counted ${misses} misses and ${hits} hits`);
} finally {
  await webproxy[Symbol.asyncDispose]();
  for (const child of [origin, peer, varnish]) child.kill();
  await Promise.all([origin.exited, peer.exited, varnish.exited]);
}
