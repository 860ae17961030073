import { createHash } from "node:crypto";
import { statSync } from "node:fs";

/** Where an embedded origin may listen: one loopback address, and the ports to try on it in this order. */
export interface LoopbackAddress {
  hostname: string;
  ports: readonly number[];
}

const PORTS_TRIED = 8;
// Below Linux's ephemeral ports (32768 and up), above those that services are known by.
const PORT_FIRST = 20_000;
const PORT_COUNT = 12_000;

/**
 * The loopback address of one directory: the same in every process and every run, another one for another directory.
 *
 * A cache key holds the origin's host and port. On a port that the kernel picks, a directory would lose its stored responses with
 * every restart, and another directory could be given the port and with it the responses of the first. All of 127.0.0.0/8 is
 * loopback on Linux, so a directory can have an address of its own.
 */
export function loopbackAddressOf(directory: string): LoopbackAddress {
  const { dev, ino } = statSync(directory, { bigint: true });
  const hash = createHash("sha256").update(`${dev}:${ino}:${directory}`).digest();
  const first = PORT_FIRST + (hash.readUInt16BE(0) % PORT_COUNT);
  return {
    // 127.1.x.y to 127.254.x.y: never 127.0.0.1, where other programs listen.
    hostname: `127.${1 + (hash[2]! % 254)}.${hash[3]!}.${1 + (hash[4]! % 254)}`,
    ports: Array.from({ length: PORTS_TRIED }, (_, index) => PORT_FIRST + ((first - PORT_FIRST + index) % PORT_COUNT)),
  };
}
