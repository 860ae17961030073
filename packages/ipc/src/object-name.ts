declare const brand: unique symbol;

/** The checked name of a POSIX object: one leading slash and no other, at most 255 bytes. */
export type ObjectName = string & { readonly [brand]: "ObjectName" };

/** Linux NAME_MAX. It counts the bytes after the slash; counting the slash too keeps one number for every kind. */
const NAME_BYTES_MAX = 255;

/** sem_open puts "sem." before the name, and the whole must be a file name. */
export const SEMAPHORE_NAME_BYTES_MAX = NAME_BYTES_MAX - 4;

/** A text that can not name a POSIX object. */
export class InvalidNameError extends Error {
  override readonly name = "InvalidNameError";
  readonly code = "ERR_IPC_NAME";
}

/**
 * A text as the name of a POSIX object.
 *
 * @param text One leading slash and no other, then 1 to 254 bytes of UTF-8 (250 for a semaphore) without NUL, such as
 *   `/proxy-1204-segment-3`; `/.` and `/..` name directories and are refused.
 * @throws {InvalidNameError} `ERR_IPC_NAME`: the text breaks one of these rules; the message says which.
 * @example
 * const name = objectName("/my-app.frames");
 */
export function objectName(text: string): ObjectName {
  const fault = faultOf(text);
  if (fault !== undefined) throw new InvalidNameError(`Cannot name an IPC object ${JSON.stringify(text)}: ${fault}`);
  return text as ObjectName;
}

/**
 * The same name, known to be short enough for a named semaphore.
 *
 * @throws {InvalidNameError} `ERR_IPC_NAME`: more than 251 bytes.
 */
export function semaphoreName(name: ObjectName): ObjectName {
  if (Buffer.byteLength(name) <= SEMAPHORE_NAME_BYTES_MAX) return name;
  throw new InvalidNameError(
    `Cannot name a semaphore ${JSON.stringify(name)}: it has ${Buffer.byteLength(name)} bytes, the C library allows ${SEMAPHORE_NAME_BYTES_MAX}`,
  );
}

/** Where the objects that are files live: shared memory (glibc and musl put it there), FIFOs and lock files. */
export function pathOf(name: ObjectName): string {
  return `/dev/shm${name}`;
}

function faultOf(text: string): string | undefined {
  if (!text.startsWith("/")) return 'it does not begin with "/"';
  if (text.length === 1) return "nothing follows the slash";
  if (text.includes("/", 1)) return 'it has more than one "/"';
  if (text.includes("\0")) return "it contains NUL, where C would end it";
  if (text === "/." || text === "/..") return "it names a directory";
  if (!text.isWellFormed()) return "it is not well-formed Unicode, so it has no UTF-8 form";
  const bytes = Buffer.byteLength(text);
  if (bytes > NAME_BYTES_MAX) return `it has ${bytes} bytes, more than ${NAME_BYTES_MAX}`;
  return undefined;
}
