const AF_INET = 2;
const AF_INET6 = 10;

/** sizeof(struct sockaddr_in6), the longest that is read here. */
export const ADDRESS_BYTES = 28;

/**
 * The host's part of a socket address as people write it: `192.0.2.1`, or `2001:db8::1` (RFC 5952). An IPv4 address in an IPv6 one (`::ffff:192.0.2.1`) is told as the former.
 *
 * @param address A struct sockaddr_in or sockaddr_in6.
 * @returns "" for an address of another family.
 */
export function hostOf(address: Uint8Array): string {
  const family = address[0]! | (address[1]! << 8);
  if (family === AF_INET) return address.subarray(4, 8).join(".");
  if (family !== AF_INET6) return "";
  const octets = address.subarray(8, 24);
  const isMapped = octets.subarray(0, 10).every((octet) => octet === 0) && octets[10] === 0xff && octets[11] === 0xff;
  return isMapped ? octets.subarray(12).join(".") : ipv6(octets);
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
