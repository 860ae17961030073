import { expect, test } from "bun:test";
import { endSteering, steerConnections } from "./reuse-port.ts";

/** Four sockets on one port, and how many connections each has accepted. */
function fourListeners() {
  const accepted = [0, 0, 0, 0];
  let port = 0;
  const listeners = accepted.map((_, index) => {
    const options = {
      hostname: "127.0.0.1",
      port,
      reusePort: true,
      socket: {
        open(socket: Bun.Socket) {
          accepted[index]!++;
          socket.end();
        },
        data() {},
      },
    };
    const listener = Bun.listen(options);
    port = listener.port;
    return listener as typeof listener & { fd: number };
  });
  return { accepted, listeners, port };
}

async function connect(port: number, times: number): Promise<void> {
  for (let count = 0; count < times; count++) {
    const closed = Promise.withResolvers<void>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data() {}, close: () => closed.resolve(), end: (socket) => void socket.end() },
    });
    await closed.promise;
  }
}

test("steerConnections() has new connections go to the sockets that joined last, endSteering() to all", async () => {
  const { accepted, listeners, port } = fourListeners();
  try {
    expect(steerConnections(listeners[0]!.fd, 2, 2)).toBe(true);
    await connect(port, 60);
    expect(accepted.slice(0, 2)).toEqual([0, 0]);
    expect(accepted[2]! + accepted[3]!).toBe(60);
    expect(Math.min(accepted[2]!, accepted[3]!)).toBeGreaterThan(5);
    for (const former of listeners.slice(0, 2)) former.stop(true);
    await connect(port, 20);
    expect(accepted[2]! + accepted[3]!).toBe(80);
    expect(endSteering(listeners[3]!.fd)).toBe(true);
    await connect(port, 20);
    expect(accepted[2]! + accepted[3]!).toBe(100);
  } finally {
    for (const listener of listeners) listener.stop(true);
  }
});

test("steerConnections() of what is no such socket is not done", () => {
  expect(steerConnections(-1, 0, 1)).toBe(false);
});
