import { libc } from "./libc.ts";

/** struct pollfd: int fd; short events; short revents. Of the last two in one word, the events are the lower half. */
const POLLFD_BYTES = 8;
const POLLOUT = 4;
const REVENTS_SHIFT = 16;

/**
 * Whether a write to this descriptor would be taken at once, or fail at once: of up to 4,096 bytes (PIPE_BUF) where it is a pipe, and as long as nobody else writes to it. For those that
 * others have too, which must not be made non-blocking for all of them. What can not be told is taken for writable.
 *
 * @example
 * if (isWritable(2)) writeSync(2, line);
 */
export function isWritable(fildes: number): boolean {
  const asked = new Int32Array(new ArrayBuffer(POLLFD_BYTES));
  asked.set([fildes, POLLOUT]);
  return libc().poll(asked, 1, 0) < 0 || asked[1]! >>> REVENTS_SHIFT !== 0;
}
