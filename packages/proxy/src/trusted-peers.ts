import type ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

let loaded: typeof ipaddr | undefined;

/** Loaded where anybody is trusted: 2 ms of each thread's start that few need. */
function library(): typeof ipaddr {
  loaded ??= require("ipaddr.js") as typeof ipaddr;
  return loaded;
}

/** What `--trust-proxy` was given is no address and no network. */
export class TrustProxyError extends Error {
  readonly code = "ERR_TRUST_PROXY";

  constructor(text: string) {
    super(
      `Cannot trust the proxy "${text}": it is no IP address and no network. Name one such as 192.0.2.7, 10.0.0.0/8 or fd00::/8`,
    );
    this.name = "TrustProxyError";
  }
}

/** Peers whose word about the client is taken: addresses and networks. */
export class TrustedPeers {
  readonly #networks: readonly [Address, number][];

  /**
   * @param texts Addresses, or networks in CIDR notation (RFC 4632, RFC 4291).
   * @throws {TrustProxyError} One of them is neither.
   */
  constructor(texts: readonly string[]) {
    this.#networks = texts.map(parseNetwork);
  }

  /** @param address As the kernel gives it; an IPv4 address that came in over IPv6 is the IPv4 address. */
  has(address: string): boolean {
    if (this.#networks.length === 0) return false;
    const ipaddr = library();
    if (!ipaddr.isValid(address)) return false;
    const peer = ipaddr.process(address);
    return this.#networks.some(([network, bits]) => isWithin(peer, network, bits));
  }
}

function isWithin(peer: Address, network: Address, bits: number): boolean {
  const { IPv4, IPv6 } = library();
  if (peer instanceof IPv4) return network instanceof IPv4 && peer.match(network, bits);
  return network instanceof IPv6 && peer.match(network, bits);
}

function parseNetwork(text: string): [Address, number] {
  const ipaddr = library();
  try {
    if (text.includes("/")) return ipaddr.parseCIDR(text);
    // ipaddr.js takes "10" and octal parts for addresses, which nobody writes on purpose.
    if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) throw new TrustProxyError(text);
    const address = ipaddr.process(text);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  } catch {
    throw new TrustProxyError(text);
  }
}
