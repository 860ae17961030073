import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fields } from "@proj/protocol";
import { outcomeOf } from "../test/outcome.ts";
import { OriginClient } from "./client.ts";

const NGINX = Bun.which("nginx") ?? Bun.which("nginx", { PATH: "/usr/sbin" });

// Debian's nginx is one of the peers that .ci/run installs; where it is missing the test says so instead of passing.
test.skipIf(NGINX === null)(
  "nginx as the origin: files, ranges, 304, HEAD, gzip in chunks, a reload, a graceful end",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "origin-nginx-"));
    await chmod(directory, 0o755); // its workers are another user
    const socketPort = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const port = socketPort.port;
    socketPort.stop(true);
    const large = Buffer.alloc(5_000_011, "webproxy ");
    await Bun.write(join(directory, "large.bin"), large);
    await Bun.write(join(directory, "small.txt"), "hello");
    await Bun.write(join(directory, "empty.txt"), "");
    await Bun.write(
      join(directory, "nginx.conf"),
      `daemon off; master_process on; worker_processes 1; pid ${directory}/pid; error_log stderr crit;
     events { worker_connections 256; }
     http {
       access_log off; keepalive_requests 50; gzip on; gzip_min_length 1; gzip_types *;
       client_body_temp_path ${directory}/a; proxy_temp_path ${directory}/b; fastcgi_temp_path ${directory}/c;
       uwsgi_temp_path ${directory}/d; scgi_temp_path ${directory}/e;
       server { listen 127.0.0.1:${port}; root ${directory}; }
     }`,
    );
    const nginx = Bun.spawn([NGINX!, "-e", "stderr", "-c", join(directory, "nginx.conf")], { stderr: "ignore" });
    const client = new OriginClient({
      origin: new URL(`http://127.0.0.1:${port}`),
      limits: { connections: 4 },
      timeouts: { keepAliveMs: 300 },
    });
    try {
      let small = await outcomeOf(client, { target: "/small.txt" });
      while (small.error?.code === "ERR_ORIGIN_CONNECT") {
        await Bun.sleep(20);
        small = await outcomeOf(client, { target: "/small.txt" });
      }
      expect(small.content).toBe("hello");
      const etag = small.head?.fields.get("etag") ?? "";

      const ask = (method: string, target: string, ...lines: [string, string][]) =>
        outcomeOf(client, { method, target, fields: Fields.from(lines) });
      const whole = await ask("GET", "/large.bin");
      expect(sha256(whole.content)).toBe(createHash("sha256").update(large).digest("hex"));
      expect((await ask("GET", "/empty.txt")).content).toBe("");
      expect((await ask("GET", "/none")).head?.status).toBe(404);
      const range = await ask("GET", "/large.bin", ["Range", "bytes=10-14"]);
      expect([range.head?.status, range.content]).toEqual([206, large.toString("latin1", 10, 15)]);
      const notModified = await ask("GET", "/small.txt", ["If-None-Match", etag]);
      expect([notModified.head?.status, notModified.framing?.kind]).toEqual([304, "none"]);
      const head = await ask("HEAD", "/large.bin");
      expect([head.head?.fields.get("content-length"), head.content]).toEqual([String(large.length), ""]);
      const gzip = await ask("GET", "/large.bin", ["Accept-Encoding", "gzip"]);
      expect(gzip.framing?.kind).toBe("chunked");
      expect(Buffer.from(Bun.gunzipSync(Buffer.from(gzip.content, "latin1"))).equals(large)).toBe(true);

      // It closes each connection after 50 requests, and all of them when it reloads: none of these requests may be
      // lost.
      const sent = Array.from({ length: 400 }, (_, i) => {
        if (i === 200) process.kill(nginx.pid, "SIGHUP");
        return ask("GET", "/small.txt");
      });
      for (const outcome of await Promise.all(sent)) expect(outcome.content).toBe("hello");
      nginx.kill("SIGQUIT");
      await nginx.exited;
      while (client.stats().connections > 0) await Bun.sleep(5);
      expect((await ask("GET", "/small.txt")).error?.code).toBe("ERR_ORIGIN_CONNECT");
    } finally {
      client.close();
      nginx.kill("SIGTERM"); // not SIGKILL: that would leave its workers
      await nginx.exited;
      await rm(directory, { recursive: true, force: true });
    }
  },
);

function sha256(content: string): string {
  return createHash("sha256").update(Buffer.from(content, "latin1")).digest("hex");
}
