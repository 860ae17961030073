/**
 * The main job: what the origin has arrives unchanged, cold and warm, through GETFILE on both wires and through HTTP, alone and
 * 200 at once, in segments of 4 KiB and of the default size; and what is warm does not reach the origin.
 */
import { describe, expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { Webproxy } from "../support/webproxy.ts";

const MIB = 1024 * 1024;
const FILES = [0, 1, 1024, 64 * 1024, MIB + 1, 64 * MIB].map((length, seed) => {
  const body = someBytes(length, seed + 1);
  return { length, body, sha256: sha256(body) };
});
const TOGETHER = 200;
/** 200 times 64 MiB are 12.8 GB: in a short run only as much as two cores carry in seconds. */
const LARGE_TOGETHER = IS_WHOLE ? TOGETHER : 4;

const TIMEOUT_MS = IS_WHOLE ? 600_000 : 60_000;

const WIRES = ["crlf", "pr3"] as const;
const SEGMENT_ARGS: readonly (readonly string[])[] = [[], ["--segment-size", "4KiB"]];

/** One way to get a file. */
interface Client {
  name: string;
  get: (webproxy: Webproxy, path: string) => Promise<ClientResult>;
  okStatus: string;
}

function clients(wire: "crlf" | "pr3"): Client[] {
  const byGetfile: Client = {
    name: `GETFILE ${wire}`,
    get: (webproxy, path) => getfile(webproxy.getfile, path, { wire, timeoutMs: TIMEOUT_MS }),
    okStatus: "OK",
  };
  const byHttp: Client = {
    name: "HTTP",
    get: (webproxy, path) => http(webproxy.http, path, { timeoutMs: TIMEOUT_MS }),
    okStatus: "200",
  };
  return wire === "crlf" ? [byGetfile, byHttp] : [byGetfile];
}

function fileNames(): string[] {
  return FILES.flatMap(({ length }) => ["one", "many"].map((group) => `/${group}/${length}`));
}

for (const segmentArgs of SEGMENT_ARGS) {
  for (const wire of WIRES) {
    for (const client of clients(wire)) {
      describe(`${client.name}, segments of ${segmentArgs[1] ?? "the default size"}`, () => {
        test("each file arrives unchanged, cold and warm, and once from the origin", async () => {
          await using origin = CountingOrigin.start();
          for (const path of fileNames()) {
            const { body } = FILES.find(({ length }) => path.endsWith(`/${length}`))!;
            origin.set(path, { body, headers: { "Cache-Control": "max-age=600", ETag: `"${path}"` } });
          }
          await using webproxy = await Webproxy.start({
            origin: origin.url,
            args: ["--getfile-wire", wire, ...segmentArgs],
          });
          for (const { length, sha256 } of FILES) {
            const whole = { status: client.okStatus, length, bytes: length, sha256, isComplete: true };
            for (const temperature of ["cold", "warm"]) {
              const got = await client.get(webproxy, `/one/${length}`);
              expect({ temperature, ...got }).toMatchObject({ temperature, ...whole });
            }
            expect(origin.count(`/one/${length}`)).toBe(1);

            const count = length === 64 * MIB ? LARGE_TOGETHER : TOGETHER;
            for (const temperature of ["cold", "warm"]) {
              const all = await Promise.all(
                Array.from({ length: count }, () => client.get(webproxy, `/many/${length}`)),
              );
              for (const got of all) expect({ temperature, ...got }).toMatchObject({ temperature, ...whole });
            }
            expect(origin.count(`/many/${length}`)).toBe(1);
          }
          await webproxy.segmentsReturned();
          const { lostWakeups, refusedMessages } = await webproxy.stats();
          expect({ lostWakeups, refusedMessages }).toEqual({ lostWakeups: 0, refusedMessages: 0 });
        }, 120_000);
      });
    }
  }
}
