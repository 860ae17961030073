import { CFunction, type Pointer, ptr } from "bun:ffi";
import { ERRNO, SystemCallError } from "./errno.ts";
import { adoptMapping, errno, libc } from "./libc.ts";

const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const IORING_OFF_SQES = 0x1000_0000;
const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
const IORING_SETUP_DEFER_TASKRUN = 1 << 13;
const IORING_ENTER_GETEVENTS = 1;
/** Linux 5.17: older ones may hand a call that must not wait to a thread of the kernel's. */
const IORING_FEAT_CQE_SKIP = 1 << 11;
const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x8001;

/** Words of 32 bits of a struct io_uring_sqe, and which of them is what. */
export const SQE = { words: 16, opcode: 0, fildes: 1, address: 4, bytes: 6, flags: 7, userData: 8 } as const;
export const IORING_OP = { CLOSE: 19, SEND: 26, RECV: 27 } as const;
const CQE_WORDS = 4;
// Of a struct io_uring_params.
const PARAMS = { bytes: 120, sqEntries: 0, cqEntries: 1, flags: 2, features: 5, sqOffsets: 10, cqOffsets: 20 } as const;

// Of a struct io_sqring_offsets and of a struct io_cqring_offsets, which begin alike: where it says where the entries are.
const SQ_ARRAY = 6;
const CQ_ENTRIES = 5;

/** The result of a call that the kernel has not come to: it is to be made in the ordinary way. */
export const NOT_MADE = -0x7fff_ffff;

type Enter = (
  number: number,
  ring: number,
  submit: number,
  complete: number,
  flags: number,
  signals: null,
  bytes: number,
) => number;
let ioUringEnter: Enter | undefined;

/**
 * Many system calls for the price of one: they are written down in memory shared with the kernel, which makes them one after the other when it is told to. What is saved is the way into the kernel and out,
 * which takes a tenth of a microsecond on one machine and more than one on another, and is half of what a small recv(2) or send(2) takes there.
 *
 * Only calls that do not wait (MSG_DONTWAIT): all are over when {@link submit} returns, and their memory is the caller's again.
 * To be used by the thread that opened it.
 *
 * @see io_uring(7), io_uring_setup(2), io_uring_enter(2)
 */
export class IoUring {
  /** The calls, {@link SQE} words each, to be written before they are submitted; their user data is the index among those of one submit. */
  readonly calls: Int32Array;
  readonly #fildes: number;
  readonly #ring: Int32Array;
  readonly #submissions: Offsets;
  readonly #completions: Offsets;

  /**
   * @param entries How many calls there is room for; a power of two.
   * @returns Undefined where the kernel has none, is too old (before 5.17), or does not allow it (`kernel.io_uring_disabled`, seccomp(2), RLIMIT_NOFILE).
   */
  static open(entries: number): IoUring | undefined {
    const params = new Uint32Array(new ArrayBuffer(PARAMS.bytes));
    for (const flags of [IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0]) {
      params.fill(0);
      params[PARAMS.flags] = flags;
      const fildes = Number(libc().syscall(SYS_IO_URING_SETUP, entries, ptr(params), 0, 0, 0, 0));
      if (fildes >= 0) return IoUring.#over(fildes, params);
      if (errno() !== ERRNO.EINVAL) return undefined; // else a kernel before 6.1, which does not know the flags
    }
    return undefined;
  }

  static #over(fildes: number, params: Uint32Array): IoUring | undefined {
    try {
      if ((params[PARAMS.features]! & IORING_FEAT_CQE_SKIP) !== 0) return new IoUring(fildes, params);
    } catch {
      // no memory for it
    }
    libc().close(fildes);
    return undefined;
  }

  private constructor(fildes: number, params: Uint32Array) {
    this.#fildes = fildes;
    const entries = params[PARAMS.sqEntries]!;
    this.#submissions = offsets(params, PARAMS.sqOffsets, SQ_ARRAY);
    this.#completions = offsets(params, PARAMS.cqOffsets, CQ_ENTRIES);
    const words = Math.max(
      this.#submissions.array + entries,
      this.#completions.array + params[PARAMS.cqEntries]! * CQE_WORDS,
    );
    this.#ring = map(fildes, words * 4, 0);
    this.calls = map(fildes, entries * SQE.words * 4, IORING_OFF_SQES);
    ioUringEnter ??= CFunction({
      args: ["i64", "i32", "u32", "u32", "u32", "ptr", "u64"],
      returns: "i32",
      ptr: (libc().syscall as unknown as { ptr: Pointer }).ptr,
    }) as unknown as Enter;
  }

  /**
   * Has the kernel make the calls `first` to `first + count - 1`, in this order.
   *
   * @param results Filled, from index 0, with what each has returned; below 0 the error, {@link NOT_MADE} for those that the kernel has not come to.
   */
  submit(first: number, count: number, results: Int32Array): void {
    const ring = this.#ring;
    const { array, mask, tail } = this.#submissions;
    const begin = ring[tail]!;
    const wrap = ring[mask]!;
    for (let at = 0; at < count; at++) {
      ring[array + ((begin + at) & wrap)] = first + at;
      results[at] = NOT_MADE;
    }
    ring[tail] = begin + count;
    const submitted = this.#enter(count);
    if (submitted < count) ring[tail] = begin + submitted; // no memory for more: these are taken back
    let missing = submitted - this.#reap(results);
    while (missing > 0) {
      ioUringEnter!(SYS_IO_URING_ENTER, this.#fildes, 0, missing, IORING_ENTER_GETEVENTS, null, 0);
      missing -= this.#reap(results);
    }
  }

  close(): void {
    libc().close(this.#fildes);
  }

  #enter(count: number): number {
    let submitted = 0;
    while (submitted < count) {
      const taken = ioUringEnter!(SYS_IO_URING_ENTER, this.#fildes, count - submitted, 0, 0, null, 0);
      if (taken > 0) submitted += taken;
      else if (taken === 0 || errno() !== ERRNO.EINTR) break;
    }
    return submitted;
  }

  /** How many calls have been found to be over. */
  #reap(results: Int32Array): number {
    const ring = this.#ring;
    const { head, tail, mask, array } = this.#completions;
    const from = ring[head]!;
    const count = (ring[tail]! - from) | 0;
    const wrap = ring[mask]!;
    for (let at = 0; at < count; at++) {
      const entry = array + ((from + at) & wrap) * CQE_WORDS;
      results[ring[entry]!] = ring[entry + 2]!;
    }
    ring[head] = from + count;
    return count;
  }
}

/** Writes an address of a call: 64 bits, in two words. */
export function writeAddress(words: Int32Array, at: number, address: number): void {
  words[at] = address;
  words[at + 1] = address / 2 ** 32;
}

/** Where in the ring, in words, its parts are. */
interface Offsets {
  readonly head: number;
  readonly tail: number;
  readonly mask: number;
  readonly array: number;
}

function offsets(params: Uint32Array, at: number, array: number): Offsets {
  const word = (index: number) => params[at + index]! / 4;
  return { head: word(0), tail: word(1), mask: word(2), array: word(array) };
}

function map(fildes: number, bytes: number, offset: number): Int32Array {
  const address = libc().mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, fildes, offset);
  if (address === -1n) throw new SystemCallError("mmap", "an io_uring", errno());
  return new Int32Array(adoptMapping(Number(address), bytes));
}
