import { expect, test } from "bun:test";
import { claimPort } from "./port-claim.ts";

test("claimPort() refuses a port that is shared with reusePort, names the option, and leaves the port as it was", () => {
  const options = { hostname: "127.0.0.1", port: 0, reusePort: true };
  const other = Bun.listen({ ...options, socket: { data() {} } });
  const { port } = other;
  const message = `Cannot listen on 127.0.0.1 port ${port}: another process does. Stop it, or choose another port with --http-port`;
  try {
    expect(() => claimPort("127.0.0.1", port, "--http-port")).toThrow(message);
  } finally {
    other.stop(true);
  }
  const claim = claimPort("127.0.0.1", port, "--http-port")!;
  // Two that start at the same moment: the first has it, though it does not listen yet.
  expect(() => claimPort("127.0.0.1", port, "--http-port")).toThrow(message);
  claimPort("127.0.0.2", port, "--http-port")!.release();
  claim.release();
  claimPort("127.0.0.1", port, "--http-port")!.release();
});

test("claimPort() lets go of a port that it could not have", () => {
  const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = other;
  expect(() => claimPort("127.0.0.1", port, "--http-port")).toThrow("another process does");
  other.stop(true);
  claimPort("127.0.0.1", port, "--http-port")!.release();
});

test("claimPort() says why an address is not to be had", () => {
  expect(() => claimPort("nonexistent.invalid", 8080, "--http-port")).toThrow("no address has that name");
  expect(() => claimPort("203.0.113.1", 8080, "--http-port")).toThrow("no interface of this machine has that address");
});
