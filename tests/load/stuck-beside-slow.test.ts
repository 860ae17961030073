/**
 * Clients that read nothing of what nobody keeps, so many that each body has little ahead of its reader, beside slow ones and fast ones: the origin is stopped and let go on all the time, by bodies of a
 * known and of an unknown length, from their beginning and from their middle, and every byte of those who read comes.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientBehaviour, ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { field, http } from "../support/http-client.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const MIB = 1024 * 1024;
/** More than the kernel takes for a reader. */
const BODY = someBytes(4 * MIB, 460);
const FROM = 1_000_003;
const PATIENCE_MS = 60_000;
/** With all the others fewer than the connections that one thread makes to the origin: none waits for one. */
const STUCK = 60;
const SLOW = 20;
const FAST = 20;
/** 16 KiB in 20 ms: five seconds for the body. */
const SLOW_BYTES_PER_SECOND = 16 * 1024 * 50;
const PRIVATE = { "Cache-Control": "private, no-store" };
const NEVER_BEFORE = { timeoutMs: 2 * PATIENCE_MS };

type Ask = (webproxy: Webproxy, behaviour: ClientBehaviour) => Promise<ClientResult>;

const WAYS: readonly Ask[] = [
  ({ http: address }, behaviour) => http(address, "/length", behaviour),
  ({ getfile: address }, behaviour) => getfile(address, "/length", behaviour),
  ({ http: address }, behaviour) => http(address, "/chunks", behaviour),
  ({ http: address }, behaviour) => http(address, "/part", { headers: { Range: `bytes=${FROM}-` }, ...behaviour }),
];

function expectWhole({ status, head, isComplete, bytes, sha256: sum }: ClientResult): void {
  const from = status === "206" ? FROM : 0;
  if (from > 0) expect(field(head, "content-range")).toBe(`bytes ${FROM}-${BODY.length - 1}/${BODY.length}`);
  else expect(["200", "OK"]).toContain(status!);
  const expected = BODY.subarray(from);
  expect({ isComplete, bytes, sum }).toEqual({ isComplete: true, bytes: expected.length, sum: sha256(expected) });
}

test(`46 ${STUCK} clients that read nothing of what is not kept, beside ${SLOW} slow ones and ${FAST} fast ones: who reads gets every byte`, async () => {
  await using origin = CountingOrigin.start({
    "/length": { body: BODY, headers: PRIVATE },
    "/chunks": { body: BODY, headers: PRIVATE, framing: "chunked" },
    "/part": { body: BODY, headers: PRIVATE },
  });
  const pool = ["--segments", "16", "--segment-size", "64KiB"];
  await using webproxy = await Webproxy.start({ origin: origin.url, args: pool });
  const leaving = Promise.withResolvers<void>();
  let begun = 0;
  const stuck = Array.from({ length: STUCK }, (_, reader) => {
    let hasBegun = false;
    return WAYS[reader % WAYS.length]!(webproxy, {
      ...NEVER_BEFORE,
      pauseAfterBytes: { bytes: 1, until: leaving.promise },
      leaveAfterBytes: MIB,
      onBody: () => {
        if (!hasBegun) begun++;
        hasBegun = true;
      },
    });
  });
  try {
    await eventually(
      PATIENCE_MS,
      () => `all have something; ${begun} have`,
      () => begun === STUCK,
    );
    const ask = (count: number, behaviour: ClientBehaviour) =>
      Array.from({ length: count }, (_, reader) => WAYS[reader % WAYS.length]!(webproxy, behaviour));
    const slow = ask(SLOW, { ...NEVER_BEFORE, bytesPerSecond: SLOW_BYTES_PER_SECOND });
    const fast = ask(FAST, NEVER_BEFORE);
    for (const result of await Promise.all([...fast, ...slow])) expectWhole(result);
  } finally {
    leaving.resolve();
  }
  for (const { status, isComplete } of await Promise.all(stuck)) {
    expect(["200", "206", "OK"]).toContain(status!);
    expect(isComplete).toBe(false);
  }
  // With what they had ahead of them gone, the next one has it all.
  expectWhole(await WAYS[0]!(webproxy, NEVER_BEFORE));
  await webproxy.segmentsReturned();
  expect(faultCounts(await webproxy.stats())).toEqual(NO_FAULTS);
}, 180_000);
