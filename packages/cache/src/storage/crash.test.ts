/**
 * A store is stopped, killed, cut, failed or lied to at its write points in turn; then another life opens what is there. Whatever it answers with
 * has to be, byte for byte, what the origin had at one time or another: the old response, the new one, or none.
 */
import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { live, ORIGIN } from "./crash-script.ts";
import type { FaultKind } from "./faulty-file-system.ts";
import { incomingDirectory } from "./store-directory.ts";
import { KIB, openDisk, PREFIX, put, readAll, withDirectory } from "./test-support.ts";

const LIMIT = 4096 * KIB;

/** What the next life answers for each target: how many of the targets it has, and whether it met something broken. */
function expectHonest(directory: string, what: string): { found: number; broken: number } {
  rmSync(incomingDirectory(directory, 0), { recursive: true, force: true }); // as every start does
  let broken = 0;
  const disk = openDisk(directory, { limitBytes: LIMIT, onBroken: () => broken++ });
  let found = 0;
  for (const [target, versions] of Object.entries(ORIGIN)) {
    const responses = disk.lookup(PREFIX + target);
    expect(responses.length, `${what}: ${target}`).toBeLessThanOrEqual(1);
    for (const { body, bodyBytes } of responses) {
      let bytes: Uint8Array;
      try {
        bytes = readAll(body);
      } catch {
        continue; // a miss: it says so, and it is gone
      }
      const isOrigins = versions.some((version) => Buffer.compare(version, bytes) === 0);
      expect([isOrigins, bytes.length], `${what}: ${target}`).toEqual([true, bodyBytes]);
      found++;
    }
  }
  expect(disk.usedBytes).toBeLessThanOrEqual(LIMIT);
  expect(put(disk, `${PREFIX}/after`, new Uint8Array(100)), `${what}: it takes responses again`).toBeDefined();
  disk.close();
  return { found, broken };
}

const POINTS = withDirectory((directory) => live(directory));
const { WEBPROXY_TESTS } = process.env;
const offset = Math.floor(Math.random() * 1000);
console.log(`write points from offset ${offset}`);

/** Every `step`th point, others in each run; all of them with `WEBPROXY_TESTS=whole`. */
function points(step: number): number[] {
  const all = Array.from({ length: POINTS }, (_, point) => point);
  return WEBPROXY_TESTS === "whole" ? all : all.filter((point) => (point + offset) % step === 0);
}

describe(`a store with ${POINTS} write points`, () => {
  test("that nothing happens to has the last version of all but the invalidated", () =>
    withDirectory((directory) => {
      live(directory);
      const disk = openDisk(directory, { limitBytes: LIMIT });
      for (const [target, versions] of Object.entries(ORIGIN)) {
        const bodies = disk.lookup(PREFIX + target).map(({ body }) => readAll(body));
        expect(bodies).toEqual(target === "/invalidated" ? [] : [Uint8Array.from(versions.at(-1)!)]);
      }
    }));

  for (const kind of ["stop", "half", "fail", "lose"] satisfies FaultKind[]) {
    test(`${kind} at each of them: the old response, the new one, or none`, () => {
      for (const at of points(4)) {
        withDirectory((directory) => {
          live(directory, { kind, at });
          const { broken } = expectHonest(directory, `${kind} at ${at}`);
          // A process that ends between two calls leaves nothing to be told, but for the one response whose metadata it was renewing in place.
          if (kind === "stop") expect(broken, `stop at ${at}`).toBeLessThanOrEqual(1);
        });
      }
    }, 120_000);
  }

  test("kill -9 at each of them, in truth", async () => {
    const kill = (at: number) =>
      withDirectory(async (directory) => {
        const script = join(import.meta.dir, "crash-script.ts");
        const child = Bun.spawn([process.execPath, script, directory, "kill", String(at)], {
          stdio: ["ignore", "ignore", "inherit"],
        });
        await child.exited;
        expect(child.signalCode, `kill at ${at}`).toBe("SIGKILL");
        expect(expectHonest(directory, `kill at ${at}`).broken, `kill at ${at}`).toBeLessThanOrEqual(1);
      });
    for (const at of points(12)) await kill(at);
  }, 300_000);
});
