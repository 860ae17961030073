import { dlopen, type FFIFunction, type Library, type Pointer, read, toArrayBuffer } from "bun:ffi";

/** Where bytes are: an address, or a view that Bun turns into one for the length of a call. */
export type Address = number;

// The one dlopen. A prototype for each function, no policy. `i64` where the all-ones result must stay recognisable
// (mmap); `i32` for a ssize_t, of which we never ask for more than 2^31 - 1. Variadic functions are declared with the arguments we pass: on x64 and arm64 Linux
// they travel in the same registers.
const FILES = {
  __errno_location: { args: [], returns: "ptr" }, // int *__errno_location(void)
  open: { args: ["ptr", "i32", "u32"], returns: "i32" }, // int open(const char *, int, mode_t)
  close: { args: ["i32"], returns: "i32" }, // int close(int)
  write: { args: ["i32", "ptr", "u64"], returns: "i32" }, // ssize_t write(int, const void *, size_t)
  read: { args: ["i32", "ptr", "u64"], returns: "i32" }, // ssize_t read(int, void *, size_t)
  mkfifo: { args: ["ptr", "u32"], returns: "i32" }, // int mkfifo(const char *, mode_t)
  unlink: { args: ["ptr"], returns: "i32" }, // int unlink(const char *)
  flock: { args: ["i32", "i32"], returns: "i32" }, // int flock(int, int)
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" }, // int fcntl(int, int, int)
  eventfd: { args: ["u32", "i32"], returns: "i32" }, // int eventfd(unsigned, int)
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "i64" }, // void *mmap(void *, size_t, int, int, int, off_t)
  munmap: { args: ["ptr", "u64"], returns: "i32" }, // int munmap(void *, size_t)
  mremap: { args: ["ptr", "u64", "u64", "i32"], returns: "i64" }, // void *mremap(void *, size_t, size_t, int)
  madvise: { args: ["ptr", "u64", "i32"], returns: "i32" }, // int madvise(void *, size_t, int)
  memcpy: { args: ["ptr", "ptr", "u64"], returns: "void" }, // void *memcpy(void *, const void *, size_t): returns the first argument
  getpagesize: { args: [], returns: "i32" }, // int getpagesize(void)
  posix_fallocate: { args: ["i32", "i64", "i64"], returns: "i32" }, // int posix_fallocate(int, off_t, off_t): returns the error
  linkat: { args: ["i32", "ptr", "i32", "ptr", "i32"], returns: "i32" }, // int linkat(int, const char *, int, const char *, int)
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" }, // int poll(struct pollfd *, nfds_t, int)
  getrlimit: { args: ["i32", "ptr"], returns: "i32" }, // int getrlimit(int, struct rlimit *)
  listen: { args: ["i32", "i32"], returns: "i32" }, // int listen(int, int)
  shutdown: { args: ["i32", "i32"], returns: "i32" }, // int shutdown(int, int)
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" }, // int getsockopt(int, int, int, void *, socklen_t *)
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" }, // int setsockopt(int, int, int, const void *, socklen_t)
  syscall: { args: ["i64", "i32", "ptr", "i64", "i64", "i64", "i64"], returns: "i64" }, // long syscall(long, ...): for what not every C library has a wrapper
  signal: { args: ["i32", "u64"], returns: "u64" }, // sighandler_t signal(int, sighandler_t)
  setpgid: { args: ["i32", "i32"], returns: "i32" }, // int setpgid(pid_t, pid_t)
  epoll_create1: { args: ["i32"], returns: "i32" }, // int epoll_create1(int)
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" }, // int epoll_ctl(int, int, int, struct epoll_event *)
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" }, // int epoll_wait(int, struct epoll_event *, int, int)
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" }, // int accept4(int, struct sockaddr *, socklen_t *, int)
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" }, // ssize_t recv(int, void *, size_t, int)
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" }, // ssize_t send(int, const void *, size_t, int)
  sendfile64: { args: ["i32", "i32", "ptr", "u64"], returns: "i32" }, // ssize_t sendfile64(int, int, off64_t *, size_t)
  memfd_create: { args: ["ptr", "u32"], returns: "i32" }, // int memfd_create(const char *, unsigned)
} as const satisfies Record<string, FFIFunction>;

const REALTIME = {
  shm_open: { args: ["ptr", "i32", "u32"], returns: "i32" }, // int shm_open(const char *, int, mode_t)
  shm_unlink: { args: ["ptr"], returns: "i32" }, // int shm_unlink(const char *)
  mq_open: { args: ["ptr", "i32", "u32", "ptr"], returns: "i32" }, // mqd_t mq_open(const char *, int, mode_t, struct mq_attr *)
  mq_close: { args: ["i32"], returns: "i32" }, // int mq_close(mqd_t)
  mq_unlink: { args: ["ptr"], returns: "i32" }, // int mq_unlink(const char *)
  mq_getattr: { args: ["i32", "ptr"], returns: "i32" }, // int mq_getattr(mqd_t, struct mq_attr *)
  mq_setattr: { args: ["i32", "ptr", "ptr"], returns: "i32" }, // int mq_setattr(mqd_t, const struct mq_attr *, struct mq_attr *)
  mq_timedsend: { args: ["i32", "ptr", "u64", "u32", "ptr"], returns: "i32" }, // int mq_timedsend(mqd_t, const char *, size_t, unsigned, const struct timespec *)
  mq_timedreceive: { args: ["i32", "ptr", "u64", "ptr", "ptr"], returns: "i32" }, // ssize_t mq_timedreceive(mqd_t, char *, size_t, unsigned *, const struct timespec *)
} as const satisfies Record<string, FFIFunction>;

const THREADS = {
  sem_open: { args: ["ptr", "i32", "u32", "u32"], returns: "ptr" }, // sem_t *sem_open(const char *, int, mode_t, unsigned)
  sem_close: { args: ["ptr"], returns: "i32" }, // int sem_close(sem_t *)
  sem_unlink: { args: ["ptr"], returns: "i32" }, // int sem_unlink(const char *)
  sem_init: { args: ["ptr", "i32", "u32"], returns: "i32" }, // int sem_init(sem_t *, int, unsigned)
  sem_destroy: { args: ["ptr"], returns: "i32" }, // int sem_destroy(sem_t *)
  sem_post: { args: ["ptr"], returns: "i32" }, // int sem_post(sem_t *)
  sem_trywait: { args: ["ptr"], returns: "i32" }, // int sem_trywait(sem_t *)
  sem_timedwait: { args: ["ptr", "ptr"], returns: "i32" }, // int sem_timedwait(sem_t *, const struct timespec *)
  sem_getvalue: { args: ["ptr", "ptr"], returns: "i32" }, // int sem_getvalue(sem_t *, int *)
  // The pthread functions return the error and leave errno alone.
  pthread_mutexattr_init: { args: ["ptr"], returns: "i32" }, // int pthread_mutexattr_init(pthread_mutexattr_t *)
  pthread_mutexattr_setpshared: { args: ["ptr", "i32"], returns: "i32" }, // int pthread_mutexattr_setpshared(pthread_mutexattr_t *, int)
  pthread_mutexattr_setrobust: { args: ["ptr", "i32"], returns: "i32" }, // int pthread_mutexattr_setrobust(pthread_mutexattr_t *, int)
  pthread_mutexattr_settype: { args: ["ptr", "i32"], returns: "i32" }, // int pthread_mutexattr_settype(pthread_mutexattr_t *, int)
  pthread_mutex_init: { args: ["ptr", "ptr"], returns: "i32" }, // int pthread_mutex_init(pthread_mutex_t *, const pthread_mutexattr_t *)
  pthread_mutex_trylock: { args: ["ptr"], returns: "i32" }, // int pthread_mutex_trylock(pthread_mutex_t *)
  pthread_mutex_timedlock: { args: ["ptr", "ptr"], returns: "i32" }, // int pthread_mutex_timedlock(pthread_mutex_t *, const struct timespec *)
  pthread_mutex_unlock: { args: ["ptr"], returns: "i32" }, // int pthread_mutex_unlock(pthread_mutex_t *)
  pthread_mutex_consistent: { args: ["ptr"], returns: "i32" }, // int pthread_mutex_consistent(pthread_mutex_t *)
} as const satisfies Record<string, FFIFunction>;

/** The C functions this package calls. */
export type Libc = Library<typeof FILES>["symbols"] &
  Library<typeof REALTIME>["symbols"] &
  Library<typeof THREADS>["symbols"];

// glibc before 2.34 keeps mq_*, shm_* in librt and sem_*, pthread_* in libpthread; later ones have all in libc.so.6.
const GLIBC = "libc.so.6";
const MUSL = ["libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

let loaded: Libc | undefined;
let errnoLocation: Pointer;

/**
 * The C library, loaded on first use (not on import: importing this package works on every system).
 *
 * @throws {Error} On anything but Linux, or when neither glibc nor musl can be loaded; the causes are listed.
 */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

/**
 * Loads the C library for the calling thread now rather than with its first call: it takes some ten milliseconds, which somebody may be waiting for then.
 *
 * @throws {Error} As the first call would.
 */
export function loadLibrary(): void {
  libc();
}

function load(): Libc {
  if (process.platform !== "linux") {
    throw new Error(
      `Cannot use POSIX IPC on ${process.platform}: this package calls the C library of Linux (glibc or musl)` +
        "; run the program on Linux, in a container or in WSL 2",
    );
  }
  const symbols = {
    ...firstThatLoads([GLIBC, ...MUSL], FILES),
    ...firstThatLoads([GLIBC, "librt.so.1", ...MUSL], REALTIME),
    ...firstThatLoads([GLIBC, "libpthread.so.0", ...MUSL], THREADS),
  };
  errnoLocation = symbols.__errno_location() as Pointer; // one per thread, and each Worker evaluates this module itself
  return symbols;
}

function firstThatLoads<Functions extends Record<string, FFIFunction>>(
  libraries: readonly string[],
  prototypes: Functions,
): Library<Functions>["symbols"] {
  const causes: string[] = [];
  for (const library of libraries) {
    try {
      return dlopen(library, prototypes).symbols;
    } catch (error) {
      causes.push(`${library}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`Cannot load the C library: ${causes.join("; ")}; install glibc 2.17 or later, or musl`);
}

/** The calling thread's errno. Read it straight after the failed call: anything that calls into C may change it. */
export function errno(): number {
  return read.i32(errnoLocation, 0);
}

/** A bare address as the C functions take it. Only addresses from `mmap` and `sem_open` come here. */
export function pointer(address: Address): Pointer {
  return address as Pointer;
}

type OwningToArrayBuffer = (
  address: Pointer,
  byteOffset: number,
  byteLength: number,
  deallocatorContext: number,
  deallocator: Pointer,
) => ArrayBuffer;

/**
 * An ArrayBuffer over a mapping that owns it: when the buffer is detached or collected, JavaScriptCore calls
 * `munmap(address, length)` (its deallocator takes (bytes, context), and the context we give is the length). So nothing
 * that still reads through the buffer can meet unmapped memory.
 */
export function adoptMapping(address: Address, length: number): ArrayBuffer {
  const { munmap } = libc();
  const unmap = (munmap as unknown as { ptr: Pointer }).ptr;
  // bun-types leaves out the two arguments that Bun documents for a deallocator.
  return (toArrayBuffer as unknown as OwningToArrayBuffer)(pointer(address), 0, length, length, unmap);
}

/** Text as C takes it: NUL-terminated, over a buffer of its own so that its bytes do not move. */
export function cString(text: string): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(new ArrayBuffer(encoded.length + 1));
  bytes.set(encoded);
  return bytes;
}
