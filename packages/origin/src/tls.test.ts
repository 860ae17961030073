import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Socket } from "bun";
import { outcomeOf } from "../test/outcome.ts";
import { OK } from "../test/scripted-origin.ts";
import { OriginClient, type OriginClientOptions } from "./client.ts";

const CERTIFICATES = join(import.meta.dir, "../test/certificates");
const REJECT_UNAUTHORIZED = "NODE_TLS_REJECT_UNAUTHORIZED";

function tlsOrigin(certificate: "localhost" | "other-host", answer: (socket: Socket<undefined>) => void) {
  const server = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    tls: {
      key: Bun.file(`${CERTIFICATES}/${certificate}.key.pem`),
      cert: Bun.file(`${CERTIFICATES}/${certificate}.pem`),
    },
    socket: { data: answer, error() {} },
  });
  return {
    url: (hostname: string) => new URL(`https://${hostname}:${server.port}`),
    [Symbol.dispose]: () => server.stop(true),
  };
}

async function ask(options: OriginClientOptions, times = 1) {
  const client = new OriginClient(options);
  try {
    const outcomes = [];
    for (let i = 0; i < times; i++) outcomes.push(await outcomeOf(client));
    return { outcomes, outcome: outcomes[0]!, stats: client.stats() };
  } finally {
    client.close();
  }
}

async function ca(certificate: string): Promise<string> {
  return await Bun.file(`${CERTIFICATES}/${certificate}.pem`).text();
}

describe("an https: origin", () => {
  test("with a certificate that verifies, by name and by address, is asked over one kept session", async () => {
    using origin = tlsOrigin("localhost", (socket) => void socket.write(OK));
    for (const hostname of ["localhost", "127.0.0.1"]) {
      const { outcomes, stats } = await ask({ origin: origin.url(hostname), tls: { ca: await ca("localhost") } }, 3);
      expect(outcomes.map((outcome) => outcome.content)).toEqual(["hello", "hello", "hello"]);
      expect(stats.connectionsMade).toBe(1);
    }
  });

  test("with one that nobody trusted signed fails with TLS and is sent nothing", async () => {
    let requests = 0;
    using origin = tlsOrigin("localhost", () => void requests++);
    const { outcome } = await ask({ origin: origin.url("localhost") });
    expect(outcome.error?.code).toBe("ERR_ORIGIN_TLS");
    expect(outcome.error?.cause).toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    expect(requests).toBe(0);
  });

  test("with one for another host fails with TLS and is sent nothing", async () => {
    let requests = 0;
    using origin = tlsOrigin("other-host", () => void requests++);
    const { outcome } = await ask({ origin: origin.url("localhost"), tls: { ca: await ca("other-host") } });
    expect(outcome.error?.code).toBe("ERR_ORIGIN_TLS");
    expect(outcome.error?.cause).toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
    expect(requests).toBe(0);
  });

  test("is verified even where NODE_TLS_REJECT_UNAUTHORIZED=0", async () => {
    using origin = tlsOrigin("localhost", (socket) => void socket.write(OK));
    const before = process.env[REJECT_UNAUTHORIZED];
    process.env[REJECT_UNAUTHORIZED] = "0";
    try {
      const { outcome } = await ask({ origin: origin.url("localhost") });
      expect(outcome.error?.code).toBe("ERR_ORIGIN_TLS");
    } finally {
      if (before === undefined) delete process.env[REJECT_UNAUTHORIZED];
      else process.env[REJECT_UNAUTHORIZED] = before;
    }
  });

  test("with a `ca` that is no certificate is refused when the client is made", () => {
    for (const ca of ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ["", "x"]]) {
      expect(() => new OriginClient({ origin: new URL("https://localhost"), tls: { ca } })).toThrow(TypeError);
    }
  });

  test("that speaks no TLS, or breaks the handshake off, fails with TLS", async () => {
    const breaksOff: ((socket: Socket<undefined>) => void)[] = [
      (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
      (socket) => void socket.end(),
      (socket) => socket.terminate(),
    ];
    for (const data of breaksOff) {
      const server = Bun.listen<undefined>({ hostname: "127.0.0.1", port: 0, socket: { data, error() {} } });
      try {
        const { outcome } = await ask({ origin: new URL(`https://127.0.0.1:${server.port}`) });
        expect(outcome.error?.code).toBe("ERR_ORIGIN_TLS");
      } finally {
        server.stop(true);
      }
    }
  });

  test("that never answers the handshake fails with TIMEOUT after connectMs", async () => {
    const server = Bun.listen<undefined>({ hostname: "127.0.0.1", port: 0, socket: { data() {}, error() {} } });
    try {
      const start = performance.now();
      const { outcome, stats } = await ask({
        origin: new URL(`https://127.0.0.1:${server.port}`),
        timeouts: { connectMs: 100 },
      });
      expect(outcome.error?.code).toBe("ERR_ORIGIN_TIMEOUT");
      expect(performance.now() - start).toBeGreaterThanOrEqual(100);
      expect(stats).toMatchObject({ connections: 0, connecting: 0 });
    } finally {
      server.stop(true);
    }
  });

  test("that ends a body by closing is CUT_SHORT: a closure alert can not be told from an interruption", async () => {
    using origin = tlsOrigin("localhost", (socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nhello"));
    const { outcome } = await ask({ origin: origin.url("localhost"), tls: { ca: await ca("localhost") } });
    expect(outcome.content).toBe("hello");
    expect(outcome.error?.code).toBe("ERR_ORIGIN_CUT_SHORT");
    expect(outcome.error?.headSeen).toBe(true);
  });
});
