import { check, openUnleased } from "./check.ts";
import { Deadline } from "./deadline.ts";
import { ERRNO, errorCode, SystemCallError } from "./errno.ts";
import { eventually, type WaitOptions } from "./eventually.ts";
import { cString, errno, libc } from "./libc.ts";
import { limitAdvice } from "./limits.ts";
import type { ObjectName } from "./object-name.ts";
import { recorded, recordRemoval } from "./registry.ts";

const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/**
 * struct mq_attr: eight C longs.
 *
 *   offset  bytes  field
 *        0      8  mq_flags      0 or O_NONBLOCK
 *        8      8  mq_maxmsg     how many messages fit
 *       16      8  mq_msgsize    bytes of the longest one
 *       24      8  mq_curmsgs    how many are in it now
 *       32     32  reserved
 */
const ATTRIBUTE = { flags: 0, maxmsg: 1, msgsize: 2, curmsgs: 3 } as const;
const scratch = new BigInt64Array(new ArrayBuffer(64));
const LONG_PAST = new Uint32Array(new ArrayBuffer(16));
const priorityScratch = new Uint32Array(new ArrayBuffer(4));

/** What a queue is and holds; see {@link MessageQueue.attributes}. */
export interface QueueAttributes {
  readonly maxmsg: number;
  readonly msgsize: number;
  readonly curmsgs: number;
}

/**
 * A POSIX message queue: messages with bounds and priorities that the kernel keeps until somebody receives them, also
 * while nobody has the queue open. Closing does not unlink: the queue counts against RLIMIT_MSGQUEUE until its name is
 * unlinked and every descriptor of it is closed.
 *
 * One object belongs to one thread; each thread opens its own.
 */
export class MessageQueue implements Disposable {
  readonly name: ObjectName;
  /** How many messages fit. */
  readonly maxmsg: number;
  /** Bytes of the longest message, and the least length of a buffer to receive into. */
  readonly msgsize: number;
  #fildes: number;
  #nonblocking = true;
  #priority = 0;

  private constructor(name: ObjectName, fildes: number) {
    this.name = name;
    this.#fildes = fildes;
    const { maxmsg, msgsize } = this.attributes();
    this.maxmsg = maxmsg;
    this.msgsize = msgsize;
  }

  /**
   * Makes a queue and opens it for both directions. Whoever creates it has to {@link MessageQueue.unlink | unlink} it.
   *
   * @param options.maxmsg How many messages fit: at most /proc/sys/fs/mqueue/msg_max (10) for an ordinary user.
   * @param options.msgsize Bytes of the longest message: at most /proc/sys/fs/mqueue/msgsize_max (8192).
   * @param options.mode Permission bits before the umask (default 0o600).
   * @param options.registered As for {@link SharedMemory.create}.
   * @throws {SystemCallError} `EEXIST`: the name is taken. `EINVAL`: maxmsg or msgsize is above the kernel's limit.
   *   `EMFILE`: RLIMIT_MSGQUEUE (all of this user's queues together) or RLIMIT_NOFILE. `ENOSPC`: queues_max.
   * @see https://pubs.opengroup.org/onlinepubs/9699919799/functions/mq_open.html
   * @example
   * using queue = MessageQueue.create(objectName("/my-app.jobs"), { maxmsg: 10, msgsize: 512 });
   */
  static create(
    name: ObjectName,
    options: { maxmsg: number; msgsize: number; mode?: number; registered?: boolean },
  ): MessageQueue {
    const make = () => MessageQueue.#create(name, options);
    return options.registered === false ? make() : recorded("queue", name, make);
  }

  static #create(name: ObjectName, options: { maxmsg: number; msgsize: number; mode?: number }): MessageQueue {
    scratch.fill(0n);
    scratch[ATTRIBUTE.maxmsg] = BigInt(options.maxmsg);
    scratch[ATTRIBUTE.msgsize] = BigInt(options.msgsize);
    const oflag = O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC;
    return new MessageQueue(
      name,
      check("mq_open", name, libc().mq_open(cString(name), oflag, options.mode ?? 0o600, scratch), options),
    );
  }

  /**
   * Opens an existing queue for both directions.
   *
   * @throws {SystemCallError} `ENOENT`: never created, or unlinked. `EACCES`: its mode excludes this user.
   */
  static open(name: ObjectName): MessageQueue {
    const oflag = O_RDWR | O_NONBLOCK | O_CLOEXEC;
    const path = cString(name);
    return new MessageQueue(
      name,
      check(
        "mq_open",
        name,
        openUnleased(() => libc().mq_open(path, oflag, 0, null)),
      ),
    );
  }

  /**
   * Removes a name, whoever made it. Those who have the queue open keep it.
   *
   * @param options.registered As for {@link SharedMemory.unlink}.
   * @returns Whether there was such a name.
   * @throws {SystemCallError} `EACCES`, `EPERM`: it belongs to another user.
   */
  static unlink(name: ObjectName, options: { registered?: boolean } = {}): boolean {
    const existed = libc().mq_unlink(cString(name)) === 0;
    const failure = existed ? 0 : errno();
    if (!existed && failure !== ERRNO.ENOENT) throw new SystemCallError("mq_unlink", name, failure);
    if (options.registered !== false) recordRemoval("queue", name, existed);
    return existed;
  }

  /**
   * Sends without waiting.
   *
   * @param priority 0 to 32767; higher ones are received first, equal ones in the order they were sent.
   * @returns false when the queue is full.
   * @throws {SystemCallError} `EMSGSIZE`: longer than {@link MessageQueue.msgsize}.
   */
  trySend(message: Uint8Array, priority = 0): boolean {
    this.#setNonblocking(true);
    for (;;) {
      if (libc().mq_timedsend(this.#fildes, message, message.length, priority, null) === 0) return true;
      const failure = errno();
      if (failure === ERRNO.EAGAIN) return false;
      if (failure !== ERRNO.EINTR) throw this.#error("mq_send", failure, message.length);
    }
  }

  /**
   * Receives the oldest of the messages of highest priority, without waiting.
   *
   * @param into At least {@link MessageQueue.msgsize} bytes. Its content means nothing after `undefined`.
   * @returns The message's length in bytes (0 is a message); undefined when the queue is empty.
   * @throws {SystemCallError} `EMSGSIZE`: `into` is shorter than msgsize.
   */
  tryReceive(into: Uint8Array): number | undefined {
    this.#setNonblocking(true);
    for (;;) {
      const length = libc().mq_timedreceive(this.#fildes, into, into.length, priorityScratch, null);
      if (length !== -1) return this.#received(length);
      const failure = errno();
      if (failure === ERRNO.EAGAIN) return undefined;
      if (failure !== ERRNO.EINTR) throw new SystemCallError("mq_receive", this.name, failure);
    }
  }

  /**
   * Sends, blocking this thread and its event loop while the queue is full: for Workers and small programs.
   *
   * @param options.timeoutMs Milliseconds to wait at most; `Infinity` is allowed.
   * @returns false when the time is over.
   * @throws {SystemCallError} As for {@link MessageQueue.trySend}.
   */
  send(message: Uint8Array, options: { timeoutMs: number; priority?: number }): boolean {
    this.#setNonblocking(false);
    // A time long past: sent at once when there is room, and no clock has to be read for it.
    if (libc().mq_timedsend(this.#fildes, message, message.length, options.priority ?? 0, LONG_PAST) === 0) return true;
    const deadline = new Deadline(options.timeoutMs);
    for (;;) {
      const timespec = deadline.timespec();
      if (libc().mq_timedsend(this.#fildes, message, message.length, options.priority ?? 0, timespec) === 0)
        return true;
      if (this.#isOver("mq_timedsend", errno(), deadline, message.length)) return false;
    }
  }

  /**
   * Receives, blocking this thread and its event loop while the queue is empty: for Workers and small programs.
   *
   * @param into At least {@link MessageQueue.msgsize} bytes.
   * @param options.timeoutMs Milliseconds to wait at most; `Infinity` is allowed.
   * @returns The message's length in bytes; undefined when the time is over.
   * @throws {SystemCallError} As for {@link MessageQueue.tryReceive}.
   */
  receive(into: Uint8Array, options: { timeoutMs: number }): number | undefined {
    this.#setNonblocking(false);
    const deadline = new Deadline(options.timeoutMs);
    for (;;) {
      const timespec = deadline.timespec();
      const length = libc().mq_timedreceive(this.#fildes, into, into.length, priorityScratch, timespec);
      if (length !== -1) return this.#received(length);
      if (this.#isOver("mq_timedreceive", errno(), deadline)) return undefined;
    }
  }

  /**
   * Sends as soon as there is room; the event loop runs meanwhile. Those who wait so are not served in order.
   *
   * @returns false when the time is over.
   * @throws {SystemCallError} As for {@link MessageQueue.trySend}; the signal's reason when it is aborted.
   */
  async sendAsync(message: Uint8Array, options: WaitOptions & { priority?: number } = {}): Promise<boolean> {
    return (await eventually(() => this.trySend(message, options.priority) || undefined, options)) ?? false;
  }

  /**
   * The next message, in bytes of its own; the event loop runs meanwhile. With a doorbell in the options the sender has to
   * ring after sending, and the message is here some 20 µs later; without, a timer looks every 1 to 10 ms.
   *
   * @returns undefined when the time is over.
   * @throws {SystemCallError} As for {@link MessageQueue.tryReceive}; the signal's reason when it is aborted; an Error
   *   when the queue is closed meanwhile.
   */
  receiveAsync(options: WaitOptions = {}): Promise<Uint8Array | undefined> {
    const into = new Uint8Array(this.msgsize);
    return eventually(() => {
      const length = this.tryReceive(into);
      return length === undefined ? undefined : into.slice(0, length);
    }, options);
  }

  /**
   * Every message from now on, until the loop is left or the signal aborted (which ends the loop without an error).
   *
   * @example
   * for await (const message of queue.messages({ signal })) handle(message);
   */
  async *messages(options: Omit<WaitOptions, "timeoutMs"> = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const isAborted = (): boolean => options.signal?.aborted ?? false;
    while (!isAborted()) {
      const message = await this.receiveAsync(options).catch((error: unknown) => {
        if (!isAborted()) throw error;
      });
      if (message !== undefined) yield message;
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.messages();
  }

  /** Priority of the message that this object received last. */
  get lastPriority(): number {
    return this.#priority;
  }

  /** The queue's bounds and how many messages are in it now. One system call. */
  attributes(): QueueAttributes {
    check("mq_getattr", this.name, libc().mq_getattr(this.#open(), scratch));
    return {
      maxmsg: Number(scratch[ATTRIBUTE.maxmsg]),
      msgsize: Number(scratch[ATTRIBUTE.msgsize]),
      curmsgs: Number(scratch[ATTRIBUTE.curmsgs]),
    };
  }

  /** Removes the name; no error when it is gone already. */
  unlink(): void {
    MessageQueue.unlink(this.name);
  }

  /** Closes this descriptor. The queue and its messages stay. */
  close(): void {
    if (this.#fildes === -1) return;
    libc().mq_close(this.#fildes);
    this.#fildes = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): number {
    if (this.#fildes === -1) throw new Error(`Cannot use message queue ${this.name}: it has been closed`);
    return this.#fildes;
  }

  #received(length: number): number {
    this.#priority = priorityScratch[0]!;
    return length;
  }

  /** O_NONBLOCK belongs to this descriptor alone; switching costs a system call, so only a change of use pays it. */
  #setNonblocking(nonblocking: boolean): void {
    const fildes = this.#open();
    if (this.#nonblocking === nonblocking) return;
    scratch.fill(0n);
    scratch[ATTRIBUTE.flags] = BigInt(nonblocking ? O_NONBLOCK : 0);
    check("mq_setattr", this.name, libc().mq_setattr(fildes, scratch, null));
    this.#nonblocking = nonblocking;
  }

  #isOver(syscall: string, failure: number, deadline: Deadline, bytes?: number): boolean {
    if (failure === ERRNO.EINTR) return false; // once more with the time that is left, even if that is none
    if (failure !== ERRNO.ETIMEDOUT) throw this.#error(syscall, failure, bytes);
    return deadline.hasPassed;
  }

  #error(syscall: string, failure: number, bytes?: number): SystemCallError {
    const asked = bytes === undefined ? { msgsize: this.msgsize } : { msgsize: this.msgsize, bytes };
    return new SystemCallError(syscall, this.name, failure, limitAdvice(syscall, errorCode(failure), asked));
  }
}
