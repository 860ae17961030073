/**
 * The main job: what the origin has arrives unchanged, cold and warm, through GETFILE on both wires and through HTTP, alone and
 * 200 at once, in segments of 4 KiB and of the default size; and what is warm does not reach the origin.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { TIERS } from "../support/tiers.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";

const MIB = 1024 * 1024;
const FILES = [0, 1, 1024, 64 * 1024, MIB + 1, 64 * MIB].map((length, seed) => {
  const body = someBytes(length, seed + 1);
  return { length, body, sha256: sha256(body) };
});
const TOGETHER = 200;
/** 200 times 64 MiB are 12.8 GB: in a short run only as much as two cores carry in seconds. */
const LARGE_TOGETHER = IS_WHOLE ? TOGETHER : 2;

const TIMEOUT_MS = IS_WHOLE ? 600_000 : 60_000;

/** One way to get a file. */
interface Client {
  name: string;
  wire: "crlf" | "pr3";
  get: (webproxy: Webproxy, path: string) => Promise<ClientResult>;
  okStatus: string;
}

const CLIENTS: readonly Client[] = [
  ...(["crlf", "pr3"] as const).map((wire) => ({
    name: `GETFILE ${wire}`,
    wire,
    get: (webproxy: Webproxy, path: string) => getfile(webproxy.getfile, path, { wire, timeoutMs: TIMEOUT_MS }),
    okStatus: "OK",
  })),
  {
    name: "HTTP",
    wire: "crlf",
    get: (webproxy, path) => http(webproxy.http, path, { timeoutMs: TIMEOUT_MS }),
    okStatus: "200",
  },
];

/** Segments of either size, each with the tiers that use them least and most; a whole run has every combination. */
const SETTINGS = TIERS.flatMap((tiers) =>
  ["256KiB", "4KiB"].map((segmentSize) => ({
    segmentSize,
    tiers,
    isShort: (segmentSize === "4KiB") === (tiers.name === "portions only"),
  })),
).filter(({ isShort }) => isShort || IS_WHOLE);

for (const { segmentSize, tiers } of SETTINGS) {
  for (const client of CLIENTS) {
    test(
      `each file arrives unchanged, cold and warm, and once from the origin: ${client.name}, segments of ${segmentSize}, ${tiers.name}`,
      async () => {
        await using origin = CountingOrigin.start();
        const args = ["--getfile-wire", client.wire, "--segment-size", segmentSize, ...tiers.args];
        await using webproxy = await Webproxy.start({ origin: origin.url, args });
        for (const file of FILES) {
          await expectUnchanged(client, webproxy, origin, file, 1);
          await expectUnchanged(client, webproxy, origin, file, file.length === 64 * MIB ? LARGE_TOGETHER : TOGETHER);
        }
        await webproxy.segmentsReturned();
        const stats = await webproxy.stats();
        expect({ ...faultCounts(stats), refusedMessages: stats.refusedMessages }).toEqual({
          ...NO_FAULTS,
          refusedMessages: 0,
        });
      },
      2 * TIMEOUT_MS,
    );
  }
}

/** A file that nobody has asked for yet, by so many clients at once, and again: each gets every byte, and the origin was asked once. */
async function expectUnchanged(
  client: Client,
  webproxy: Webproxy,
  origin: CountingOrigin,
  { length, body, sha256 }: (typeof FILES)[number],
  count: number,
): Promise<void> {
  const path = `/${count}-at-once/${length}`;
  origin.set(path, { body, headers: { "Cache-Control": "max-age=600", ETag: `"${length}"` } });
  const whole = { status: client.okStatus, length, bytes: length, sha256, isComplete: true };
  for (const temperature of ["cold", "warm"]) {
    const all = await Promise.all(Array.from({ length: count }, () => client.get(webproxy, path)));
    for (const got of all) expect({ temperature, path, ...got }).toMatchObject({ temperature, path, ...whole });
  }
  expect({ path, asked: origin.count(path) }).toEqual({ path, asked: 1 });
}
