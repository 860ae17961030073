/**
 * A process that gets no more memory from the kernel: whether it ends by that or bears it, every client has the right bytes, an honest end or an answer that says why not, and afterwards
 * all is well.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { faultCounts, NO_FAULTS, type Stats, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const FILES = Array.from({ length: 24 }, (_, file) => {
  const body = someBytes(2_000_000 + file, 64 + file);
  return { path: `/${file}`, body, length: body.length, sha256: sha256(body) };
});
const CLIENT_MS = 60_000;

/** Each file by somebody, both ways in turn; undefined where there was no connection, or it broke before the head. */
async function getAll(webproxy: Webproxy): Promise<(ClientResult | undefined)[]> {
  const all = FILES.map(({ path }, index) =>
    index % 2 === 0
      ? getfile(webproxy.getfile, path, { timeoutMs: CLIENT_MS })
      : http(webproxy.http, path, { timeoutMs: CLIENT_MS }),
  );
  return (await Promise.allSettled(all)).map((one) => (one.status === "fulfilled" ? one.value : undefined));
}

function isServed(result: ClientResult | undefined): result is ClientResult {
  return result?.isComplete === true && (result.status === "OK" || result.status === "200");
}

function expectHonest(results: readonly (ClientResult | undefined)[]): void {
  for (const [index, result] of results.entries()) {
    if (!isServed(result)) continue;
    const { length, sha256 } = FILES[index]!;
    expect({ length: result.length, sha256: result.sha256 }).toEqual({ length, sha256 });
  }
}

/** What it has mapped is all that it gets: see prlimit(1), RLIMIT_AS. */
function limitMemory(pid: number): void {
  const mappedKib = Number(/^VmSize:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
  if (!setLimit(pid, String(mappedKib * 1024))) throw new Error(`Cannot limit the memory of ${pid}`);
}

/** The soft limit alone: who has lowered the hard one may not be allowed to raise it again. */
function setLimit(pid: number, bytes: string): boolean {
  return Bun.spawnSync(["prlimit", "--pid", String(pid), `--as=${bytes}:`], { stderr: "ignore" }).success;
}

/** Without this nothing would have been tried: it has ended by it, or could not map what it was asked to read or to write. */
function hasFeltIt({ restarts, cache }: Stats, side: "proxy" | "cache"): boolean {
  return restarts[side] > 0 || (side === "cache" && (cache?.counters.unreadableMessages ?? 0) > 0);
}

for (const side of ["cache", "proxy"] as const) {
  test(`a ${side} that gets no more memory: nobody is told anything wrong, nobody waits for ever, and all is well afterwards`, async () => {
    await using origin = CountingOrigin.start();
    for (const { path, body } of FILES) origin.set(path, { body, headers: { "Cache-Control": "max-age=600" } });
    await using webproxy = await Webproxy.start({
      origin: origin.url,
      args: ["--segments", "16", "--segment-size", "64KiB", "--hot", "32MiB"],
    });
    const { pid } = (await webproxy.stats())[side]!;
    limitMemory(pid);
    for (let round = 0; round < 4; round++) expectHonest(await getAll(webproxy));
    await eventually(CLIENT_MS, "it has been refused memory", async () => hasFeltIt(await webproxy.stats(), side));
    setLimit(pid, "unlimited"); // if it lives
    await eventually(CLIENT_MS, "everybody is served", async () => {
      const results = await getAll(webproxy);
      expectHonest(results);
      return results.every(isServed);
    });
    await webproxy.segmentsReturned();
    expect(faultCounts(await webproxy.stats())).toEqual(NO_FAULTS);
  }, 300_000);
}
