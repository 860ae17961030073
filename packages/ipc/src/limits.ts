import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { libc } from "./libc.ts";

/** What the kernel allows this process, as it is now. A value that this kernel does not publish is `undefined`. */
export interface Limits {
  readonly messageQueues: {
    /** Most messages that one queue may hold: `maxmsg` above it is EINVAL. */
    readonly msgMax: number | undefined;
    /** Most bytes in one message: `msgsize` above it is EINVAL. */
    readonly msgsizeMax: number | undefined;
    /** Most queues in this IPC namespace, of all users: one more is ENOSPC. */
    readonly queuesMax: number | undefined;
    /** True when this process has CAP_SYS_RESOURCE: `msgMax`, `msgsizeMax` are then the kernel's own hard ones. */
    readonly privileged: boolean;
    /** RLIMIT_MSGQUEUE: bytes that all queues of this user may take together; above it is EMFILE. */
    readonly bytesSoft: number | undefined;
    readonly bytesHard: number | undefined;
    /** How many queues of a shape RLIMIT_MSGQUEUE allows this user, when there is no other. */
    readonly allowed: readonly { readonly maxmsg: number; readonly msgsize: number; readonly queues: number }[];
  };
  /** RLIMIT_NOFILE, and the descriptors this process has open now. A queue, a FIFO and a lock keep one each. */
  readonly openFiles: { readonly soft: number | undefined; readonly hard: number | undefined; readonly open: number };
  /** The file system that holds shared memory, named semaphores, FIFOs and locks. */
  readonly sharedMemory:
    | {
        readonly path: string;
        readonly totalBytes: number;
        readonly freeBytes: number;
        /** Objects, links of the registry and directories that it may hold (nr_inodes); 0: as many as there is memory for. */
        readonly totalFiles: number;
        readonly freeFiles: number;
      }
    | undefined;
  /** vm.max_map_count, and the mappings this process has now. Each object that is mapped takes one: above it is ENOMEM. */
  readonly mappings: { readonly max: number | undefined; readonly mapped: number };
  readonly semaphores: { readonly valueMax: number; readonly nameBytesMax: number };
}

/** What a call asked for when it was refused: only what is relevant to that call. */
export interface Asked {
  readonly maxmsg?: number;
  readonly msgsize?: number;
  readonly bytes?: number;
}

const SHM = "/dev/shm";
/** The same numbers on x64 and arm64. */
const RLIMIT_NOFILE = 7;
const RLIMIT_MSGQUEUE = 12;
const MQUEUE_SYSCTL = "/proc/sys/fs/mqueue";
/** HARD_MSGMAX and HARD_MSGSIZEMAX of Linux's ipc_namespace.h: what binds even root. */
const HARD = { msgMax: 65_536, msgsizeMax: 16 * 1024 * 1024 } as const;
const CAP_SYS_RESOURCE = 24n;
/** Linux's MQ_PRIO_MAX: a queue keeps at most that many tree nodes. */
const MQ_PRIO_MAX = 32_768;
/** The calls that find or make a name: EACCES and EPERM are about who owns it, ENOSPC may be about how many there are. */
const TAKES_A_NAME = /^((mq|shm|sem)_(open|unlink)|open|unlink|mkfifo)$/;
/** sizeof(struct msg_msg) and sizeof(struct posix_msg_tree_node) on 64-bit Linux. */
const MSG_MSG_BYTES = 48;
const TREE_NODE_BYTES = 48;

/**
 * The bytes that one queue counts against RLIMIT_MSGQUEUE, from its creation until it is unlinked and every descriptor
 * of it is closed, however many messages it holds.
 *
 * @see https://man7.org/linux/man-pages/man2/getrlimit.2.html RLIMIT_MSGQUEUE
 * @example
 * queueBytes({ maxmsg: 10, msgsize: 512 }); // 6080: the usual 819200 bytes are 134 such queues
 */
export function queueBytes(shape: { maxmsg: number; msgsize: number }): number {
  const bookkeeping = shape.maxmsg * MSG_MSG_BYTES + Math.min(shape.maxmsg, MQ_PRIO_MAX) * TREE_NODE_BYTES;
  return bookkeeping + shape.maxmsg * shape.msgsize;
}

/**
 * The kernel's limits on POSIX IPC for this process, read now (about 0.2 ms; nothing is cached, since an operator may
 * raise them while the process runs). On a system without /proc every value is `undefined` or 0; nothing is thrown.
 *
 * @example
 * const { messageQueues, sharedMemory } = limits();
 * if ((sharedMemory?.freeBytes ?? 0) < 64 * 1024 * 1024) console.error("less than 64 MiB of shared memory left");
 */
export function limits(): Limits {
  const privileged = hasCapability(CAP_SYS_RESOURCE);
  const queueMemory = resourceLimit(RLIMIT_MSGQUEUE);
  const openFiles = resourceLimit(RLIMIT_NOFILE);
  const shapes = [
    { maxmsg: 10, msgsize: 512 },
    { maxmsg: 10, msgsize: 8192 },
  ];
  return {
    messageQueues: {
      msgMax: privileged ? HARD.msgMax : readNumber(`${MQUEUE_SYSCTL}/msg_max`),
      msgsizeMax: privileged ? HARD.msgsizeMax : readNumber(`${MQUEUE_SYSCTL}/msgsize_max`),
      queuesMax: readNumber(`${MQUEUE_SYSCTL}/queues_max`),
      privileged,
      bytesSoft: queueMemory.soft,
      bytesHard: queueMemory.hard,
      allowed: shapes.map((shape) => ({ ...shape, queues: queuesAllowed(shape, queueMemory.soft) })),
    },
    // What can not be counted for want of a descriptor is as many as there may be.
    openFiles: { ...openFiles, open: countEntries("/proc/self/fd") ?? openFiles.soft ?? 0 },
    sharedMemory: sharedMemorySpace(),
    mappings: { max: readNumber("/proc/sys/vm/max_map_count"), mapped: countLines("/proc/self/maps") },
    semaphores: { valueMax: 2_147_483_647, nameBytesMax: 251 },
  };
}

/**
 * The sentence that an error needs when a limit caused it: which limit, its value, what was asked, how to raise it.
 * `undefined` when no limit explains this errno. Reads /proc, so call it only when something has failed. Never throws.
 *
 * @param syscall What was refused, such as `mq_open`.
 * @param code The errno's name, such as `EMFILE`.
 * @example
 * limitAdvice("mq_open", "EINVAL", { maxmsg: 50 }); // "maxmsg 50 is above msg_max, which is 10: ask for ..."
 */
export function limitAdvice(syscall: string, code: string, asked: Asked = {}): string | undefined {
  try {
    if (code === "EACCES" || code === "EPERM") return accessAdvice(syscall);
    if (code === "ELOOP")
      return "a symbolic link has that name, and none is followed: remove it, or choose another name";
    if (code === "ENFILE") return fileTableAdvice();
    if (syscall === "mq_open") return queueAdvice(code, asked);
    if (code === "EMFILE") return openFilesAdvice();
    if (code === "ENOMEM" && syscall === "mmap") return mappingAdvice();
    if (code === "ENOSPC") return spaceAdvice(syscall, asked);
    if (code === "EMSGSIZE") return messageSizeAdvice(asked);
    return undefined;
  } catch {
    // A limit that can not be read must not hide the error that is being explained.
    return undefined;
  }
}

function queueAdvice(code: string, asked: Asked): string | undefined {
  if (code !== "EINVAL" && code !== "ENOSPC" && code !== "EMFILE") return undefined;
  const { messageQueues, openFiles } = limits();
  if (code === "EINVAL") return queueShapeAdvice(messageQueues, asked);
  if (code === "ENOSPC") {
    return `queues_max of this IPC namespace is ${shown(messageQueues.queuesMax)} queues, for all users together: unlink some (ipc doctor lists those of dead processes), or raise it as root: sysctl fs.mqueue.queues_max=1024`;
  }
  if (openFiles.soft !== undefined && openFiles.open + 1 >= openFiles.soft) return openFilesAdvice();
  const shape = { maxmsg: asked.maxmsg ?? 10, msgsize: asked.msgsize ?? 8192 };
  const cost = queueBytes(shape);
  return `RLIMIT_MSGQUEUE allows this user ${shown(messageQueues.bytesSoft)} bytes in all queues together, a queue of ${shape.maxmsg} x ${shape.msgsize} takes ${cost} of them, so that at most ${queuesAllowed(shape, messageQueues.bytesSoft)} such fit: unlink unused queues, ask for fewer or shorter messages, or raise it: ulimit -q BYTES (hard limit ${shown(messageQueues.bytesHard)}), LimitMSGQUEUE= in systemd, --ulimit msgqueue= in docker`;
}

function queueShapeAdvice(queues: Limits["messageQueues"], asked: Asked): string | undefined {
  const raise = (name: string, value: number) =>
    queues.privileged ? "this one is fixed in the kernel" : `or raise it as root: sysctl fs.mqueue.${name}=${value}`;
  if (asked.maxmsg !== undefined && asked.maxmsg > (queues.msgMax ?? Number.POSITIVE_INFINITY)) {
    return `maxmsg ${asked.maxmsg} is above msg_max, which is ${queues.msgMax}: ask for at most ${queues.msgMax}, ${raise("msg_max", asked.maxmsg)}`;
  }
  if (asked.msgsize !== undefined && asked.msgsize > (queues.msgsizeMax ?? Number.POSITIVE_INFINITY)) {
    return `msgsize ${asked.msgsize} is above msgsize_max, which is ${queues.msgsizeMax}: ask for at most ${queues.msgsizeMax}, ${raise("msgsize_max", asked.msgsize)}`;
  }
  if ((asked.maxmsg ?? 1) < 1 || (asked.msgsize ?? 1) < 1) return "maxmsg and msgsize must both be at least 1";
  return undefined;
}

function openFilesAdvice(): string {
  const { openFiles } = limits();
  return `RLIMIT_NOFILE allows this process ${shown(openFiles.soft)} open files and ${openFiles.open} are open: close what is not used, or raise it: ulimit -n NUMBER (hard limit ${shown(openFiles.hard)}), LimitNOFILE= in systemd`;
}

function fileTableAdvice(): string {
  return `the whole system may have ${shown(readNumber("/proc/sys/fs/file-max"))} open files: raise it as root: sysctl fs.file-max=NUMBER`;
}

function mappingAdvice(): string {
  const { mappings } = limits();
  return `vm.max_map_count allows this process ${shown(mappings.max)} mappings and it has ${mappings.mapped}: close objects that are not used, or raise it as root: sysctl vm.max_map_count=262144`;
}

function spaceAdvice(syscall: string, asked: Asked): string | undefined {
  const space = sharedMemorySpace();
  if (space === undefined) return undefined;
  if (TAKES_A_NAME.test(syscall) && space.totalFiles > 0 && space.freeFiles === 0) {
    return `${space.path} holds ${space.totalFiles} files, which is all it may (nr_inodes): unlink unused objects (ipc doctor lists those of dead processes), or allow more as root: mount -o remount,nr_inodes=NUMBER ${space.path}`;
  }
  const wanted = asked.bytes === undefined ? "" : ` and ${asked.bytes} were asked for`;
  return `${space.path} has ${space.freeBytes} of ${space.totalBytes} bytes free${wanted}: unlink unused objects (ipc doctor lists those of dead processes), ask for less, or make it larger: mount -o remount,size=SIZE ${space.path} as root, --shm-size=SIZE in docker`;
}

function accessAdvice(syscall: string): string | undefined {
  if (!TAKES_A_NAME.test(syscall)) return undefined;
  const where = syscall.startsWith("mq_") ? "the queue" : `the object in ${SHM}`;
  const whose = syscall.startsWith("mq_") ? "" : ` (ls -l ${SHM} shows who that is)`;
  return `${where} belongs to another user, or its mode excludes this one (uid ${process.geteuid?.() ?? "unknown"}): choose another name, or run as the user who made it${whose}`;
}

function messageSizeAdvice(asked: Asked): string | undefined {
  if (asked.bytes === undefined || asked.msgsize === undefined) return undefined;
  return `the queue was created for messages of at most ${asked.msgsize} bytes and this one has ${asked.bytes}: split it, or create the queue with a larger msgsize (msgsize_max is ${shown(limits().messageQueues.msgsizeMax)})`;
}

function queuesAllowed(shape: { maxmsg: number; msgsize: number }, bytes: number | undefined): number {
  return bytes === undefined ? Number.POSITIVE_INFINITY : Math.floor(bytes / queueBytes(shape));
}

/**
 * Whether /dev/shm has room for so many bytes just now: others may take it a moment later. Objects take whole pages; of those of 4 KiB, on most machines.
 *
 * @param lengths Of each object.
 */
export function hasSharedMemoryFor(lengths: readonly number[]): boolean {
  const space = statfsSync(SHM);
  const pages = lengths.reduce((sum, length) => sum + Math.ceil(length / space.bsize), 0);
  return space.blocks === 0 || pages <= space.bavail; // a tmpfs without a limit says 0
}

function sharedMemorySpace(): Limits["sharedMemory"] {
  try {
    const { bsize, blocks, bavail, files, ffree } = statfsSync(SHM);
    const space = { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    return { path: SHM, ...space, totalFiles: files, freeFiles: ffree };
  } catch {
    return undefined;
  }
}

/** By a system call and not from /proc: that needs a descriptor, and having none may be what is to be explained. */
function resourceLimit(resource: number): { soft: number | undefined; hard: number | undefined } {
  try {
    const limit = new BigUint64Array(new ArrayBuffer(16)); // struct rlimit: soft, hard
    if (libc().getrlimit(resource, limit) === -1) return { soft: undefined, hard: undefined };
    return { soft: limitValue(limit[0]!), hard: limitValue(limit[1]!) };
  } catch {
    return { soft: undefined, hard: undefined }; // not Linux
  }
}

/** RLIM_INFINITY is all ones. */
function limitValue(value: bigint): number {
  return value === 2n ** 64n - 1n ? Number.POSITIVE_INFINITY : Number(value);
}

function hasCapability(bit: bigint): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText("/proc/self/status") ?? "")?.[1];
  return mask !== undefined && ((BigInt(`0x${mask}`) >> bit) & 1n) === 1n;
}

function readNumber(path: string): number | undefined {
  const text = readText(path)?.trim();
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

function countEntries(path: string): number | undefined {
  try {
    return readdirSync(path).length;
  } catch {
    return undefined;
  }
}

function countLines(path: string): number {
  const text = readText(path);
  return text === undefined ? 0 : text.split("\n").length - 1;
}

function shown(value: number | undefined): string {
  if (value === undefined) return "not published here";
  return value === Number.POSITIVE_INFINITY ? "unlimited" : String(value);
}
