/** What kinds of engine there are, and ways to it: TLS, a password, Sentinels. (A cluster: failure.test.ts.) */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { DecidingOrigin } from "../caching/origin.ts";
import { get } from "../caching/support.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { freePort, RedisServer, Sentinel } from "../support/redis.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { joined, Nodes, purgeNodes, sharedStatus, written } from "./nodes.ts";

const CERTIFICATES = join(import.meta.dir, "../../packages/origin/test/certificates");

setDefaultTimeout(120_000);

/** A node that is told of its engine by the environment: it joins, and writes what it has fetched. */
async function expectShared(url: string, env: Record<string, string> = {}): Promise<void> {
  await using origin = CountingOrigin.start({
    "/x": { body: Buffer.from("x"), headers: { "Cache-Control": "max-age=60" } },
  });
  const args = ["--shared-budget", "8000", "--threads", "1"];
  await using node = await Webproxy.start({ origin: origin.url, args, env: { ...env, WEBPROXY_SHARED: url } });
  await joined(node);
  await http(node.http, "/x");
  await written(node, 1);
  const { pid } = (await node.stats()).cache!;
  expect(await Bun.file(`/proc/${pid}/cmdline`).text()).not.toContain("redis");
}

describe("an engine", () => {
  test("behind TLS, whose certificate is verified", async () => {
    const tlsPort = String(await freePort());
    const [certificate, key] = [join(CERTIFICATES, "localhost.pem"), join(CERTIFICATES, "localhost.key.pem")];
    const files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate];
    await using _ = await RedisServer.start(["--tls-port", tlsPort, ...files, "--tls-auth-clients", "no"]);
    const url = `rediss://localhost:${tlsPort}`;
    await expectShared(url, { NODE_EXTRA_CA_CERTS: certificate });
    await using stranger = await Webproxy.start({ origin: "demo", env: { WEBPROXY_SHARED: url } });
    expect((await sharedStatus(stranger))?.state).toBe("alone");
    const isTold = () => /Cannot reach rediss:.*certificate/.test(stranger.stderr);
    await eventually(30_000, () => `it says why; its stderr: ${stranger.stderr}`, isTold);
  });

  test("with a password", async () => {
    await using redis = await RedisServer.start();
    await redis.cli("config", "set", "requirepass", "se/c:r@t");
    await expectShared(`redis://:${encodeURIComponent("se/c:r@t")}@127.0.0.1:${redis.port}`);
  });

  test("behind the second of two hosts, of which the first takes connections and says nothing", async () => {
    await using redis = await RedisServer.start();
    const mute = createServer(() => {}).listen(0, "127.0.0.1");
    try {
      await once(mute, "listening");
      const { port } = mute.address() as AddressInfo;
      await expectShared(`redis://127.0.0.1:${port},127.0.0.1:${redis.port}`);
    } finally {
      mute.close();
    }
  });

  test("found through a Sentinel; and again when another is master, killed or demoted, password and all", async () => {
    const password = "se/c:r@t";
    const auth = ["--requirepass", password, "--masterauth", password];
    await using first = await RedisServer.start(auth, { password });
    await using second = await RedisServer.start(auth, { password });
    await using third = await RedisServer.start(auth, { password });
    for (const replica of [second, third]) await replica.cli("replicaof", "127.0.0.1", String(first.port));
    await using sentinel = await Sentinel.start(first, password);
    let version = 1;
    await using origin = await DecidingOrigin.start(() => ({
      headers: { "Cache-Control": "max-age=600" },
      body: `v${version}`,
    }));
    const url = `redis://:${encodeURIComponent(password)}@127.0.0.1:${sentinel.port}`;
    await using nodes = await Nodes.start(2, url, { origin: origin.url });
    const [a, b] = nodes.all as [Webproxy, Webproxy];
    const isShared = async () => {
      version++;
      await purgeNodes(a, { url: "/x" });
      await Promise.all([joined(a), joined(b)]);
      const { nodes: told } = await purgeNodes(a, { url: "/x" });
      if (told.missing.length > 0) return false;
      const asked = origin.count("/x");
      const bodies = [await get(a.http, "/x")];
      const isWritten = async () => (await get(b.http, "/x")).cache?.startsWith("hit") === true;
      bodies.push(await get(b.http, "/x"));
      for (const { body } of bodies) expect(body).toBe(`v${version}`);
      return origin.count("/x") === asked + 1 && (await isWritten());
    };
    await eventually(30_000, "what A has stored B serves", isShared);
    await sentinel.knows(2);
    // The master is made a replica, and lives on.
    await eventually(30_000, "the Sentinel begins a failover", async () =>
      (await sentinel.cli("sentinel", "failover", "main")).startsWith("OK"),
    );
    await eventually(60_000, "another is master", async () => (await sentinel.masterPort()) !== first.port);
    await eventually(60_000, "what A has stored B serves, after a demotion", isShared);
    await sentinel.knows(2); // the third, and the one that was demoted
    const port = await sentinel.masterPort();
    await [first, second, third].find((server) => server.port === port)!.kill();
    await eventually(60_000, "a third is master", async () => (await sentinel.masterPort()) !== port);
    await eventually(60_000, "what A has stored B serves, after a death", isShared);
    for (const node of [a, b]) expect(node.stderr).not.toContain(password);
  });
});
