import { ptr } from "bun:ffi";
import { libc } from "../libc.ts";
import { LEVEL, SO } from "./numbers.ts";

// struct sock_filter { u16 code; u8 jt, jf; u32 k }, four of them; struct sock_fprog { u16 length; struct sock_filter *filter }.
const INSTRUCTIONS = 4;
const FILTER_BYTES = 8;
const LOAD_ABSOLUTE = 0x20;
const MODULO = 0x94;
const ADD = 0x04;
const RETURN_SUM = 0x16;
/** SKF_AD_OFF + SKF_AD_RANDOM of linux/filter.h: a random number instead of a part of the packet. */
const RANDOM = 0xfffff038;

/**
 * Has new connections to a port that several sockets share (SO_REUSEPORT) go to some of them only: those that joined as numbers `first` to `first + count - 1`, counted
 * from 0 in the order in which they began to listen. The others keep what they have, and what has been queued for them; so they can be closed without a connection being
 * reset that somebody had opened. When sockets leave, the numbers are others; a number that is nobody's is as if this had not been called.
 *
 * @param fildes Any of the listening sockets; it stays the caller's.
 * @returns Whether the kernel does so.
 * @see socket(7), SO_ATTACH_REUSEPORT_CBPF
 * @example
 * if (steerConnections(listener.fd, 2, 2)) await Bun.sleep(200); // the first two have accepted what was theirs
 */
export function steerConnections(fildes: number, first: number, count: number): boolean {
  const filter = new DataView(new ArrayBuffer(INSTRUCTIONS * FILTER_BYTES));
  const program: readonly (readonly [code: number, value: number])[] = [
    [LOAD_ABSOLUTE, RANDOM],
    [MODULO, count],
    [ADD, first],
    [RETURN_SUM, 0],
  ];
  for (const [index, [code, value]] of program.entries()) {
    filter.setUint16(index * FILTER_BYTES, code, true);
    filter.setUint32(index * FILTER_BYTES + 4, value, true);
  }
  const header = new DataView(new ArrayBuffer(16));
  header.setUint16(0, INSTRUCTIONS, true);
  header.setBigUint64(8, BigInt(ptr(new Uint8Array(filter.buffer))), true);
  return libc().setsockopt(fildes, LEVEL.SOCKET, SO.ATTACH_REUSEPORT_CBPF, new Uint8Array(header.buffer), 16) === 0;
}

/** Takes {@link steerConnections} back: the kernel chooses again. */
export function endSteering(fildes: number): boolean {
  return libc().setsockopt(fildes, LEVEL.SOCKET, SO.DETACH_REUSEPORT_BPF, new Uint8Array(new ArrayBuffer(4)), 4) === 0;
}
