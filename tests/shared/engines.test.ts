/** What kinds of engine there are, and ways to it: TLS, a password, Sentinels. (A cluster: failure.test.ts.) */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { freePort, RedisServer } from "../support/redis.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { joined, sharedStatus, written } from "./nodes.ts";

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
    expect(stranger.stderr).toMatch(/Cannot reach rediss:.*certificate/);
  });

  test("with a password", async () => {
    await using redis = await RedisServer.start();
    await redis.cli("config", "set", "requirepass", "se/c:r@t");
    await expectShared(`redis://:${encodeURIComponent("se/c:r@t")}@127.0.0.1:${redis.port}`);
  });

  test("found through a Sentinel", async () => {
    await using master = await RedisServer.start();
    using directory = new TempDirectory();
    const port = await freePort();
    const file = directory.file("sentinel.conf");
    writeFileSync(
      file,
      `port ${port}\nbind 127.0.0.1\ndir ${directory.path}\nsentinel monitor main 127.0.0.1 ${master.port} 1\n`,
    );
    const sentinel = Bun.spawn(["redis-server", file, "--sentinel"], { stdio: ["ignore", "ignore", "inherit"] });
    try {
      const ping = () =>
        Bun.spawnSync(["redis-cli", "-p", String(port), "ping"])
          .stdout.toString()
          .trim();
      await eventually(30_000, "the Sentinel answers", () => ping() === "PONG");
      await expectShared(`redis://127.0.0.1:${port}`);
    } finally {
      sentinel.kill("SIGKILL");
      await sentinel.exited;
    }
  });
});
