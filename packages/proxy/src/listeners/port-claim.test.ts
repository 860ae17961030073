import { expect, test } from "bun:test";
import { claimOrSharePort, claimPort } from "./port-claim.ts";

const OWN = { pid: process.pid, listeners: 2 };

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
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  const first = claimPort("127.0.0.1", port, "--http-port", { pid: 4711, listeners: 3 })!;
  const second = (await claimOrSharePort("127.0.0.1", port, "--http-port", OWN))!;
  expect(second.former).toEqual({ pid: 4711, listeners: 3 });
  first.release();
  let third: Awaited<ReturnType<typeof claimOrSharePort>>;
  for (let tries = 0; tries < 200; tries++) {
    await Bun.sleep(10);
    third = await claimOrSharePort("127.0.0.1", port, "--http-port", OWN);
    third?.release();
    if (third?.former !== undefined) break;
  }
  expect(third?.former).toEqual(OWN);
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
