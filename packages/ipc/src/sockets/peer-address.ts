const AF_INET = 2;
const AF_INET6 = 10;

/** sizeof(struct sockaddr_in6), the longest that is read here. */
export const ADDRESS_BYTES = 28;

/** A peer's address as it is kept for as long as its connection: the four octets of an IPv4 one in a number, which is no object; of any other a struct sockaddr. */
export type PeerAddress = number | Uint8Array;

/**
 * Of an IPv4 address, also in an IPv6 one (`::ffff:192.0.2.1`), the octets.
 *
 * @param address A struct sockaddr; a copy is made of what is no IPv4 address.
 */
export function peerAddress(address: Uint8Array): PeerAddress {
  const family = address[0]! | (address[1]! << 8);
  if (family === AF_INET) return octetsAt(address, 4);
  return family === AF_INET6 && isMapped(address) ? octetsAt(address, 20) : address.slice();
}

/**
 * The host's part of a socket address as people write it: `192.0.2.1`, or `2001:db8::1` (RFC 5952).
 *
 * @returns "" for an address of a family that has none.
 */
export function hostOf(address: PeerAddress): string {
  if (typeof address === "number")
    return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
  const family = address[0]! | (address[1]! << 8);
  return family === AF_INET6 ? ipv6(address.subarray(8, 24)) : "";
}

function octetsAt(address: Uint8Array, at: number): number {
  return (address[at]! << 24) | (address[at + 1]! << 16) | (address[at + 2]! << 8) | address[at + 3]!;
}

function isMapped(address: Uint8Array): boolean {
  for (let at = 8; at < 18; at++) if (address[at] !== 0) return false;
  return address[18] === 0xff && address[19] === 0xff;
}

/** The first of the longest runs of two or more groups that are 0 is left out. */
function ipv6(octets: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) => (octets[index * 2]! << 8) | octets[index * 2 + 1]!);
  let [from, length] = [0, 1];
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > length) [from, length] = [start, end - start];
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  return length === 1 ? text(groups) : `${text(groups.slice(0, from))}::${text(groups.slice(from + length))}`;
}
