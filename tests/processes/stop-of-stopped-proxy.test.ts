/** A stop that is asked for while the proxy is stopped as a whole (SIGSTOP): who comes then is refused at once and does not wait for its end, and who was being served is, once it goes on. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Address } from "../support/address.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const SOON_MS = 30_000;
const CLIENTS = 16;
const BODY = someBytes(16 * 1024 * 1024, 8);

test("SIGTERM while the proxy is stopped: new clients are refused, and a response that is open is finished", async () => {
  await using origin = CountingOrigin.start();
  origin.set("/large", { body: BODY, headers: { "Cache-Control": "max-age=600" } });
  await using webproxy = await Webproxy.start({ origin: origin.url });
  const { pid } = (await webproxy.stats()).proxy!;
  const goesOn = Promise.withResolvers<void>();
  const hasBegun = Promise.withResolvers<void>();
  const open = http(webproxy.http, "/large", {
    pauseAfterBytes: { bytes: 1, until: goesOn.promise },
    onBody: () => hasBegun.resolve(),
    timeoutMs: SOON_MS,
  });
  await hasBegun.promise;
  process.kill(pid, "SIGSTOP");
  try {
    while (!/\) T /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))); // before a supervisor ends it for that
    const ended = webproxy.stop("SIGTERM");
    await eventually(SOON_MS, "new clients are refused", async () => (await connect(webproxy.http)) === "refused");
    for (let client = 0; client < CLIENTS; client++) {
      expect(await connect(webproxy.http)).toBe("refused");
      expect(await connect(webproxy.getfile)).toBe("refused");
    }
    expect(readFileSync(`/proc/${pid}/stat`, "latin1")).toMatch(/\) T /);
    process.kill(pid, "SIGCONT");
    goesOn.resolve();
    expect(await open).toMatchObject({ isComplete: true, sha256: sha256(BODY) });
    const { exitCode, stderr } = await ended;
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stderr).not.toContain("killing");
  } finally {
    goesOn.resolve();
    continueIfThere(pid);
  }
}, 120_000);

async function connect({ host, port }: Address): Promise<"refused" | "connected"> {
  try {
    const socket = await Bun.connect({ hostname: host, port, socket: { data() {} } });
    socket.terminate();
    return "connected";
  } catch {
    return "refused";
  }
}

function continueIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {} // as it should be
}
