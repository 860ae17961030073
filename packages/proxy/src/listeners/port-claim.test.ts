import { expect, test } from "bun:test";
import { claimOrSharePort, claimPort, type PortClaim, type Succession, TakeoverError } from "./port-claim.ts";

const OWN = { pid: process.pid, listeners: 2 };
const FIRST = { pid: 4711, listeners: 3 };

/** A port that one has, and another takes over. */
async function succession(): Promise<{ port: number; first: PortClaim; second: Succession }> {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  const first = claimPort("127.0.0.1", port, "--http-port", FIRST)!;
  const second = (await claimOrSharePort("127.0.0.1", port, "--http-port", OWN)) as Succession;
  return { port, first, second };
}

/** As soon as whoever takes it over has done so; the test's own time is the limit. Nobody listens here, so that the port may be free for a moment. */
async function untilTaken(port: number): Promise<Succession> {
  for (;;) {
    try {
      const claim = (await claimOrSharePort("127.0.0.1", port, "--http-port", OWN))!;
      if ("former" in claim) return claim;
      claim.release();
    } catch (error) {
      if (!(error instanceof TakeoverError)) throw error;
    }
    await Bun.sleep(10);
  }
}

test("claimPort() refuses a port that is shared with reusePort, names the option, and leaves the port as it was", () => {
  const options = { hostname: "127.0.0.1", port: 0, reusePort: true };
  const other = Bun.listen({ ...options, socket: { data() {} } });
  const { port } = other;
  const message = `Cannot listen on 127.0.0.1 port ${port}: another process does. Stop it, or choose another port with --http-port`;
  try {
    expect(() => claimPort("127.0.0.1", port, "--http-port", OWN)).toThrow(message);
  } finally {
    other.stop(true);
  }
  const claim = claimPort("127.0.0.1", port, "--http-port", OWN)!;
  // Two that start at the same moment: the first has it, though it does not listen yet.
  expect(() => claimPort("127.0.0.1", port, "--http-port", OWN)).toThrow(message);
  claimPort("127.0.0.2", port, "--http-port", OWN)!.release();
  claim.release();
  claimPort("127.0.0.1", port, "--http-port", OWN)!.release();
});

test("claimPort() lets go of a port that it could not have", () => {
  const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = other;
  expect(() => claimPort("127.0.0.1", port, "--http-port", OWN)).toThrow("another process does");
  other.stop(true);
  claimPort("127.0.0.1", port, "--http-port", OWN)!.release();
});

test("claimPort() says why an address is not to be had", () => {
  expect(() => claimPort("nonexistent.invalid", 8080, "--http-port", OWN)).toThrow("no address has that name");
  expect(() => claimPort("203.0.113.1", 8080, "--http-port", OWN)).toThrow(
    "no interface of this machine has that address",
  );
});

test("claimOrSharePort() learns who has the port, and has its name once that is let go of", async () => {
  const { port, first, second } = await succession();
  expect(second.former).toEqual(FIRST);
  second.complete();
  first.release();
  // The name of who succeeds is let go of only by one who has the port's.
  const third = await untilTaken(port);
  expect(third.former).toEqual(OWN);
  third.release();
  second.release();
});

test("claimOrSharePort() lets one at a time take a port over, and the next one only when that one has done so", async () => {
  const { port, first, second } = await succession();
  const another = () => claimOrSharePort("127.0.0.1", port, "--http-port", { pid: 4713, listeners: 1 });
  await expect(another()).rejects.toThrow(`Cannot take over 127.0.0.1 port ${port}: process ${OWN.pid} is doing so`);
  second.complete();
  await expect(another()).rejects.toThrow("is doing so"); // the first one has it still
  second.release();
  const [one, other] = await Promise.allSettled([another(), another()]);
  expect([one.status, other.status].sort()).toEqual(["fulfilled", "rejected"]);
  for (const result of [one, other]) if (result.status === "fulfilled") result.value?.release();
  first.release();
});

test("a succession finds one that got the port in between", async () => {
  const { port, first, second } = await succession();
  expect(await second.rival()).toBeUndefined();
  first.release();
  const rival = claimPort("127.0.0.1", port, "--http-port", { pid: 4712, listeners: 1 })!;
  expect(await second.rival()).toEqual({ pid: 4712, listeners: 1 });
  rival.release();
  second.release();
});

test("claimOrSharePort() refuses a port that no webproxy has", async () => {
  const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    await expect(claimOrSharePort("127.0.0.1", other.port, "--http-port", OWN)).rejects.toThrow("another process does");
  } finally {
    other.stop(true);
  }
});
