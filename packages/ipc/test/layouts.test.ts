import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { END, RING, RING_MAGIC, RING_VERSION } from "../src/ring-layout.ts";

/** docs/ipc-layouts.md is what peers in other languages are written from: it must say what the code does. */
const page = readFileSync(new URL("../../../docs/ipc-layouts.md", import.meta.url), "utf8");
const ring = page.slice(page.indexOf("## Ring"), page.indexOf("## Segment pool"));

function documentedOffset(field: string): number {
  const line = new RegExp(`^ +(\\d+) +(?:\\d+|n) +(?:the )?${field}\\b`, "m").exec(ring);
  if (line === null) throw new Error(`docs/ipc-layouts.md has no field "${field}"`);
  return Number(line[1]);
}

test("the documented ring is the one of the code", () => {
  for (const [field, offset] of Object.entries(RING)) {
    if (field !== "bytes" && field !== "data") expect([field, documentedOffset(field)]).toEqual([field, offset]);
  }
  expect(ring).toContain(`${RING.data}     32  data          semaphore`);
  expect(ring).toContain(`${RING.bytes}      n  data `);
  for (const [field, offset] of Object.entries(END)) expect([field, documentedOffset(field)]).toEqual([field, offset]);
  expect(ring).toContain(`0x${RING_MAGIC.toString(16)}`);
  expect(ring).toContain(`version       ${RING_VERSION}`);
});
