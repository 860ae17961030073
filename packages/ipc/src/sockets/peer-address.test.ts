import { expect, test } from "bun:test";
import { hostOf, peerAddress } from "./peer-address.ts";

/** A struct sockaddr_in or sockaddr_in6 with that address. */
function sockaddr(family: number, octets: readonly number[]): Uint8Array {
  const address = new Uint8Array(28);
  address[0] = family;
  address.set(octets, family === 2 ? 4 : 8);
  return address;
}

const ipv6 = (...groups: number[]) =>
  hostOf(
    peerAddress(
      sockaddr(
        10,
        groups.flatMap((group) => [group >> 8, group & 0xff]),
      ),
    ),
  );

test("IPv4 addresses, also in an IPv6 one, are written with dots", () => {
  expect(hostOf(peerAddress(sockaddr(2, [192, 0, 2, 1])))).toBe("192.0.2.1");
  expect(hostOf(peerAddress(sockaddr(2, [10, 255, 0, 128])))).toBe("10.255.0.128");
  expect(ipv6(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201)).toBe("192.0.2.1");
});

test("IPv6 addresses are written as RFC 5952 wants it", () => {
  expect(ipv6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)).toBe("2001:db8::1");
  expect(ipv6(0, 0, 0, 0, 0, 0, 0, 1)).toBe("::1");
  expect(ipv6(0, 0, 0, 0, 0, 0, 0, 0)).toBe("::");
  expect(ipv6(0x2001, 0, 0, 1, 0, 0, 0, 1)).toBe("2001:0:0:1::1");
  expect(ipv6(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1)).toBe("2001:db8::1:0:0:1");
  expect(ipv6(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1)).toBe("2001:db8:0:1:1:1:1:1");
  expect(ipv6(0xfe80, 1, 2, 3, 4, 5, 0, 0)).toBe("fe80:1:2:3:4:5::");
});

test("an address of another family has no host", () => {
  expect(hostOf(peerAddress(sockaddr(1, [])))).toBe("");
});

test("what is no IPv4 address is kept as a copy: the memory that it came in is used again", () => {
  const address = sockaddr(10, [0x20, 0x01]);
  const kept = peerAddress(address);
  address.fill(0);
  expect(hostOf(kept)).toBe("2001::");
  expect(peerAddress(sockaddr(2, [192, 0, 2, 1]))).toBe(0xc0000201 | 0);
});
