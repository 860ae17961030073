import { read } from "bun:ffi";
import { ERRNO, SystemCallError } from "./errno.ts";
import { type Address, errno, libc, pointer } from "./libc.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MADV_DONTNEED = 4;

/**
 * Memory of this process alone that JavaScriptCore knows nothing of. Whatever an ArrayBuffer holds counts as heap, and the collector lets as much garbage lie as the heap is large: where
 * a thread keeps half a gibibyte of bytes that never hold a reference, that is hundreds of mebibytes. These bytes are reached by copying them in and out (some 20 ns and the copy itself), and go
 * back to the kernel the moment they are closed.
 *
 * Nobody closes it for whoever forgets it.
 */
export class PrivateMemory implements Disposable {
  readonly length: number;
  #address: Address;

  private constructor(address: Address, length: number) {
    this.#address = address;
    this.length = length;
  }

  /**
   * Maps `length` zero bytes, which take memory page by page as they are written.
   *
   * @returns undefined: the system has none to give (ENOMEM: its own limit, or that of the number of mappings).
   * @throws {SystemCallError} It refused for another reason: `EINVAL`, a length of 0.
   */
  static map(length: number): PrivateMemory | undefined {
    const address = libc().mmap(null, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address !== -1n) return new PrivateMemory(Number(address), length);
    const failure = errno();
    if (failure === ERRNO.ENOMEM) return undefined;
    throw new SystemCallError("mmap", "private memory", failure);
  }

  /** Copies the first `bytes` bytes of `from` to `offset`. */
  write(offset: number, from: Uint8Array, bytes: number = from.length): void {
    if (bytes > from.length) throw new RangeError(`Cannot write ${bytes} bytes of ${from.length}`);
    if (bytes > 0) libc().memcpy(this.#at(offset, bytes), from, bytes);
  }

  /** Copies `bytes` bytes from `offset` on to the beginning of `into`. */
  read(offset: number, into: Uint8Array, bytes: number = into.length): void {
    if (bytes > into.length) throw new RangeError(`Cannot read ${bytes} bytes into ${into.length}`);
    if (bytes > 0) libc().memcpy(into, this.#at(offset, bytes), bytes);
  }

  /** Copies `bytes` bytes from `offset` on to another place, in this memory or in `to`. The two must not overlap. */
  copy(offset: number, bytes: number, to: PrivateMemory, toOffset: number): void {
    if (bytes > 0) libc().memcpy(to.#at(toOffset, bytes), this.#at(offset, bytes), bytes);
  }

  /** The 16 bits at `offset`, in this machine's byte order. */
  u16(offset: number): number {
    return read.u16(this.#at(offset, 2), 0);
  }

  /** The 32 bits at `offset`, in this machine's byte order. */
  u32(offset: number): number {
    return read.u32(this.#at(offset, 4), 0);
  }

  /** Gives the memory back. Whoever uses it after that gets an error. */
  close(): void {
    const address = this.#address;
    if (address === 0) return;
    this.#address = 0;
    if (libc().munmap(pointer(address), this.length) === 0) return;
    // A mapping in the middle of others can not go where the process has as many as it may: its pages can.
    libc().madvise(pointer(address), this.length, MADV_DONTNEED);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #at(offset: number, bytes: number): ReturnType<typeof pointer> {
    if (this.#address === 0) throw new Error("Cannot use private memory: it has been closed");
    if (!(offset >= 0 && offset + bytes <= this.length)) {
      throw new RangeError(`Cannot reach ${bytes} bytes at offset ${offset} of ${this.length} bytes of private memory`);
    }
    return pointer(this.#address + offset);
  }
}
