import { expect, test } from "bun:test";
import { limitSendBuffer } from "./send-buffer.ts";

const KIB = 1024;

/** A connection over loopback whose reader reads nothing; gives what a sender's kernel takes of 16 MiB. */
async function takenBy(prepare: (fildes: number) => void): Promise<number> {
  const accepted = Promise.withResolvers<number>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        prepare((socket as unknown as { fd: number }).fd);
        accepted.resolve(socket.write(new Uint8Array(16 * KIB * KIB)));
      },
      data() {},
    },
  });
  const client = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data() {} } });
  try {
    client.pause();
    return await accepted.promise;
  } finally {
    client.terminate();
    listener.stop(true);
  }
}

test("limitSendBuffer() bounds what the kernel takes for a near peer", async () => {
  let done: boolean | undefined;
  const bounded = await takenBy((fildes) => {
    done = limitSendBuffer(fildes, 64 * KIB, 1_000_000);
  });
  expect(done).toBe(true);
  const unbounded = await takenBy(() => {});
  expect(bounded).toBeGreaterThan(0);
  expect(bounded).toBeLessThan(unbounded);
});

test("limitSendBuffer() leaves a far peer, and what is no TCP socket, as they are", async () => {
  let done: boolean | undefined;
  await takenBy((fildes) => {
    done = limitSendBuffer(fildes, 64 * KIB, -1);
  });
  expect(done).toBe(false);
  expect(limitSendBuffer(-1, 64 * KIB, 1000)).toBe(false);
});
