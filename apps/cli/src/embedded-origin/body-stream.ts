import { isSameVersion, readServedFile, type ServedFile, versionOf } from "./served-file.ts";

const CHUNK_BYTES = 256 * 1024;

/**
 * `length` bytes of the file from `offset` on, read as they are asked for. The last chunk is only given out once the file is
 * known to be what it was when it was opened: a file that is overwritten or truncated while it is sent ends in an error, so
 * that the client sees a body cut short and never a mixture under the length of a whole one.
 *
 * Takes the file over: it is closed at the end, at an error and when the reader gives up.
 */
export function bodyStream(file: ServedFile, offset: number, length: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let sent = 0;
  return new ReadableStream(
    {
      pull(controller) {
        const size = Math.min(CHUNK_BYTES, length - sent);
        const chunk = readServedFile(file, offset + sent, size);
        const isLast = sent + size === length;
        if (chunk === undefined || (isLast && !isSameVersion(file.version, versionOf(file.fildes)))) {
          file[Symbol.dispose]();
          controller.error(new Error(`Cannot send the rest of ${file.name}: it changed while it was sent`));
          return;
        }
        sent += size;
        controller.enqueue(chunk);
        if (!isLast) return;
        file[Symbol.dispose]();
        controller.close();
      },
      cancel: () => file[Symbol.dispose](),
    },
    { highWaterMark: 0 },
  );
}
