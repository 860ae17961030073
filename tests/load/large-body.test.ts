/** CHECKLIST 28: a body far larger than everything that could hold it streams through, and memory stays where it was. 100 GB with WEBPROXY_TESTS=whole. */
import { expect, test } from "bun:test";
import { Wire } from "../http/wire.ts";
import { processUsage } from "../support/process-usage.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { Webproxy } from "../support/webproxy.ts";

const BYTES = IS_WHOLE ? 100_000_000_000 : 1_500_000_000;
const PIECE = Buffer.alloc(1024 * 1024, "x");
const MIB = 1024 * 1024;

/** An origin that sends so many bytes, as fast as they are taken, and makes none of them twice. */
function endlessOrigin() {
  const left = new Map<object, number>();
  const pump = (socket: Bun.Socket) => {
    for (let rest = left.get(socket) ?? 0; rest > 0; ) {
      const taken = socket.write(PIECE.subarray(0, Math.min(PIECE.length, rest)));
      if (taken <= 0) return;
      rest -= taken;
      left.set(socket, rest);
    }
  };
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\nCache-Control: max-age=600\r\n\r\n`);
        left.set(socket, BYTES);
        pump(socket);
      },
      drain: pump,
    },
  });
}

test(
  `28 ${BYTES / 1e9} GB through a cache of 64 MB`,
  async () => {
    using origin = {
      server: endlessOrigin(),
      [Symbol.dispose]() {
        this.server.stop(true);
      },
    };
    await using webproxy = await Webproxy.start({
      origin: `http://127.0.0.1:${origin.server.port}`,
      args: ["--memory", "32MiB", "--disk", "32MiB", "--hot", "1MiB", "--segments", "16", "--segment-size", "256KiB"],
    });
    using wire = await Wire.connect(webproxy.http);
    await wire.send("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const head = await wire.head();
    expect(head).toContain(`Content-Length: ${BYTES}`);
    wire.counts = true;
    const { proxy, cache } = await webproxy.stats();
    const most = { proxy: 0, cache: 0 };
    while (wire.ended === "no") {
      await Bun.sleep(100);
      most.proxy = Math.max(most.proxy, processUsage(proxy!.pid).residentBytes);
      most.cache = Math.max(most.cache, processUsage(cache!.pid).residentBytes);
    }
    expect(wire.bytesReceived).toBe(head.length + BYTES);
    expect({ proxy: most.proxy < 350 * MIB, cache: most.cache < 450 * MIB, most }).toMatchObject({
      proxy: true,
      cache: true,
    });
  },
  IS_WHOLE ? 1_200_000 : 180_000,
);
