import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Fields } from "@proj/protocol";
import type { Socket } from "bun";
import { OriginClient } from "./client.ts";

const MIB = 2 ** 20;
// Loopback: the sender's buffer grows to 4 MiB (tcp_wmem), the reader's to 6 MiB (tcp_rmem); then one read and one
// TLS record.
const BUFFERS_BYTES_MAX = 16 * MIB;
const CERTIFICATES = join(import.meta.dir, "../test/certificates");

/** An origin that sends `totalBytes` of octets that differ from place to place, as fast as they are taken. */
function fastOrigin(totalBytes: number, tls: boolean) {
  const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${totalBytes}\r\n\r\n`);
  const pattern = Buffer.alloc(
    251 * 4096,
    Uint8Array.from({ length: 251 }, (_, i) => i),
  );
  const sent = { bytes: 0 };
  const send = (socket: Socket<undefined>) => {
    while (sent.bytes < totalBytes) {
      const offset = sent.bytes % pattern.length;
      const length = Math.min(pattern.length - offset, totalBytes - sent.bytes);
      const written = Math.max(0, socket.write(pattern, offset, length));
      sent.bytes += written;
      if (written < length) return;
    }
  };
  const server = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls && {
      tls: { key: Bun.file(`${CERTIFICATES}/localhost.key.pem`), cert: Bun.file(`${CERTIFICATES}/localhost.pem`) },
    }),
    socket: {
      data(socket) {
        socket.write(head);
        send(socket);
      },
      drain: send,
      error() {},
    },
  });
  const hash = createHash("sha256");
  for (let at = 0; at < totalBytes; at += pattern.length) hash.update(pattern.subarray(0, totalBytes - at));
  return {
    url: new URL(`${tls ? "https" : "http"}://127.0.0.1:${server.port}`),
    sent,
    sha256: hash.digest("hex"),
    [Symbol.dispose]: () => server.stop(true),
  };
}

async function clientOf(url: URL): Promise<OriginClient> {
  return new OriginClient({ origin: url, tls: { ca: await Bun.file(`${CERTIFICATES}/localhost.pem`).text() } });
}

for (const tls of [false, true]) {
  describe(tls ? "over TLS" : "over TCP", () => {
    test("a slow consumer of a fast origin gets every octet, and no more than the kernel's buffers are under way", async () => {
      const totalBytes = 64 * MIB + 1;
      using origin = fastOrigin(totalBytes, tls);
      const client = await clientOf(origin.url);
      try {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const hash = createHash("sha256");
        let received = 0;
        let underWayMax = 0;
        let pauses = 0;
        const exchange = client.send(
          { method: "GET", target: "/", fields: new Fields() },
          {
            onHead() {},
            onContent(chunk) {
              hash.update(chunk);
              received += chunk.length;
              underWayMax = Math.max(underWayMax, origin.sent.bytes - received);
              if (++pauses % 4 !== 0) return;
              exchange.pause();
              setTimeout(() => exchange.resume(), 1);
            },
            onEnd: () => resolve(),
            onError: reject,
          },
        );
        await promise;
        expect(received).toBe(totalBytes);
        expect(hash.digest("hex")).toBe(origin.sha256);
        expect(underWayMax).toBeLessThan(BUFFERS_BYTES_MAX);
        expect(pauses).toBeGreaterThan(16);
      } finally {
        client.close();
      }
    });

    test("a consumer that stays paused stops the origin; aborted, it frees the connection", async () => {
      using origin = fastOrigin(1024 * MIB, tls);
      const client = await clientOf(origin.url);
      try {
        const seen = Promise.withResolvers<void>();
        let received = 0;
        let receivedPaused = 0;
        let isPaused = false;
        const exchange = client.send(
          { method: "GET", target: "/", fields: new Fields() },
          {
            onHead() {},
            onContent(chunk) {
              received += chunk.length;
              if (isPaused) receivedPaused += chunk.length;
              isPaused = true;
              exchange.pause();
              seen.resolve();
            },
            onEnd: () => seen.reject(new Error("The end came while paused")),
            onError: seen.reject,
          },
        );
        await seen.promise;
        let before = -1;
        while (before !== origin.sent.bytes) {
          before = origin.sent.bytes;
          await Bun.sleep(100);
        }
        expect(before).toBeLessThan(BUFFERS_BYTES_MAX);
        expect(receivedPaused).toBeLessThanOrEqual(512 * 1024);
        expect(received).toBeLessThan(BUFFERS_BYTES_MAX);
        exchange.abort();
        expect(client.stats().connections).toBe(0);
      } finally {
        client.close();
      }
    });
  });
}
