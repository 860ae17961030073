import { expect, test } from "bun:test";
import { TrustedPeers, TrustProxyError } from "./trusted-peers.ts";

test("TrustedPeers.has() knows addresses and networks of both families", () => {
  const peers = new TrustedPeers(["192.0.2.7", "10.0.0.0/8", "fd00::/8", "2001:db8::1"]);
  for (const address of ["192.0.2.7", "10.255.0.1", "::ffff:10.0.0.1", "fd12::1", "2001:db8::1"])
    expect([address, peers.has(address)]).toEqual([address, true]);
  for (const address of ["192.0.2.8", "11.0.0.1", "fe80::1", "2001:db8::2", "", "unix"])
    expect([address, peers.has(address)]).toEqual([address, false]);
  expect(new TrustedPeers([]).has("127.0.0.1")).toBe(false);
});

test("new TrustedPeers() throws for what is neither", () => {
  for (const text of ["", "10", "10.0.0.0/33", "localhost", "010.0.0.1", "1.2.3.4/", "::g", "10.0.0.0/8, ::1"])
    expect(() => new TrustedPeers([text])).toThrow(TrustProxyError);
});
