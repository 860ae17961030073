import { expect, test } from "bun:test";
import { closeSync } from "node:fs";
import { endListening, keepListening, sameSocket } from "./listening-socket.ts";

function open(): { fildes: number; port: number } {
  const opened = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    return { fildes: keepListening((opened as typeof opened & { fd: number }).fd), port: opened.port };
  } finally {
    opened.stop(true);
  }
}

/** Resolves with what comes until the other end closes. */
async function ask(port: number): Promise<string> {
  let said = "";
  const closed = Promise.withResolvers<string>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, chunk) {
        said += chunk.toString();
      },
      end: (socket) => void socket.end(),
      close: () => closed.resolve(said),
    },
  });
  return await closed.promise;
}

/** Accepts on a descriptor of its own, and ends each connection with what it is told to say. */
function accept(fildes: number, word: string): { stop(): void } {
  const options = {
    fd: sameSocket(fildes),
    socket: { open: (socket: Bun.Socket) => void socket.end(word), data() {} },
  };
  const listener = Bun.listen(options as unknown as Parameters<typeof Bun.listen>[0]);
  return { stop: () => listener.stop(true) };
}

test("keepListening(): clients wait while nobody accepts, and one after another may", async () => {
  const { fildes, port } = open();
  try {
    const early = [ask(port), ask(port)];
    await Bun.sleep(20);
    const first = accept(fildes, "first");
    expect(await Promise.all(early)).toEqual(["first", "first"]);
    first.stop();
    const late = ask(port);
    await Bun.sleep(20);
    const second = accept(fildes, "second");
    expect(await late).toBe("second");
    second.stop();
  } finally {
    closeSync(fildes);
  }
  await expect(ask(port)).rejects.toThrow();
});

test("keepListening() refuses what does not listen, and keeps nothing", () => {
  expect(() => keepListening(-1)).toThrow("EBADF");
  expect(() => keepListening(2)).toThrow("ENOTSOCK");
});

test("endListening(): who waits is reset and who comes is refused, although somebody else has the socket and does not look", async () => {
  const { fildes, port } = open();
  const forgotten = sameSocket(fildes);
  try {
    const early = ask(port);
    await Bun.sleep(20);
    endListening(fildes);
    expect(await early).toBe("");
    expect(ask(port)).rejects.toThrow("Failed to connect");
  } finally {
    closeSync(fildes);
    closeSync(forgotten);
  }
});

test("endListening() refuses what does not listen", () => {
  expect(() => endListening(-1)).toThrow("EBADF");
  expect(() => endListening(2)).toThrow("ENOTSOCK");
});
