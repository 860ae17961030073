import { libc } from "../libc.ts";
import { LEVEL, SO, TCP } from "./numbers.ts";

/** struct tcp_info of linux/tcp.h, as far as Linux 4.9 has it: later kernels add behind. `min_rtt` is in microseconds. */
const INFO = { bytes: 160, minRtt: 148 } as const;

// Explicit ArrayBuffers: their memory stays where it is (one call at a time on each thread).
const info = new Uint32Array(new ArrayBuffer(INFO.bytes));
const length = new Uint32Array(new ArrayBuffer(4));
const option = new Int32Array(new ArrayBuffer(4));

/**
 * Lets the kernel hold only about `bytes` of what is written to a TCP socket and not yet acknowledged, when its peer is near.
 *
 * By default that buffer grows to several MiB (the third number of `net.ipv4.tcp_wmem`). A far peer needs it: bytes in flight are rate times round trip. A near one does not,
 * and a mebibyte that waits in the kernel for its reader has left the processor's caches by the time it is read. Takes a microsecond; does not block.
 *
 * @param fildes A connected TCP socket; it stays the caller's.
 * @param bytes The kernel doubles it for its own bookkeeping (socket(7)). `bytes / nearMicroseconds` is the least rate, in MB/s, that a near peer can still have.
 * @param nearMicroseconds The longest round trip, by the shortest the kernel has measured, of a peer that is near.
 * @returns Whether it was done. Not: the peer is far, or this is no connected TCP socket.
 * @see socket(7), tcp(7)
 * @example
 * limitSendBuffer(socket.fd, 256 * 1024, 1000);
 */
export function limitSendBuffer(fildes: number, bytes: number, nearMicroseconds: number): boolean {
  length[0] = INFO.bytes;
  if (libc().getsockopt(fildes, LEVEL.TCP, TCP.INFO, info, length) !== 0) return false;
  if (length[0]! < INFO.bytes || info[INFO.minRtt / 4]! > nearMicroseconds) return false;
  option[0] = bytes;
  return libc().setsockopt(fildes, LEVEL.SOCKET, SO.SNDBUF, option, 4) === 0;
}
