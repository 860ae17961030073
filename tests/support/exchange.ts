import type { Socket } from "bun";
import type { Address } from "./address.ts";
import type { ClientBehaviour, ClientResult } from "./client-result.ts";
import { within } from "./within.ts";

const TIMEOUT_MS = 30_000;
const HEAD_BYTES_MAX = 64 * 1024;

/** What a protocol says about the bytes that have come so far. */
export interface ParsedHead {
  status: string;
  /** Octets of the head, the body follows. */
  headBytes: number;
  /** undefined: until the connection ends. */
  length: number | undefined;
}

export interface Exchange {
  request: string;
  /** undefined while the head is incomplete. */
  parseHead: (received: string) => ParsedHead | undefined;
  /** Unframes a body whose length is not known before; returns the bytes, and whether that was the last. */
  unframe?: (head: string) => ((chunk: Buffer) => { body: Buffer; isLast: boolean }) | undefined;
}

/** One request and one response on a connection of its own, until the server closes or all is there. */
export async function exchange(
  address: Address,
  { request, parseHead, unframe }: Exchange,
  behaviour: ClientBehaviour = {},
): Promise<ClientResult> {
  const done = Promise.withResolvers<void>();
  const hash = new Bun.CryptoHasher("sha256");
  const state = {
    pending: Buffer.alloc(0),
    parsed: undefined as ParsedHead | undefined,
    head: "",
    bytes: 0,
    isLast: false,
    extra: 0,
  };
  let unframeBody: ReturnType<NonNullable<Exchange["unframe"]>>;
  let isPaused = false;
  let hasLeft = false;

  const takeBody = (socket: Socket, chunk: Buffer) => {
    let body = chunk;
    if (unframeBody !== undefined) {
      const unframed = unframeBody(chunk);
      body = unframed.body;
      state.isLast ||= unframed.isLast;
    } else if (state.parsed?.length !== undefined) {
      const left = state.parsed.length - state.bytes;
      if (chunk.length > left) {
        body = chunk.subarray(0, left);
        state.extra += chunk.length - left;
      }
    }
    state.bytes += body.length;
    hash.update(body);
    behaviour.onBody?.(body);
    const { leaveAfterBytes, pauseAfterBytes, bytesPerSecond } = behaviour;
    if (leaveAfterBytes !== undefined && state.bytes >= leaveAfterBytes) {
      hasLeft = true;
      socket.terminate();
      return done.resolve();
    }
    if (pauseAfterBytes !== undefined && !isPaused && state.bytes >= pauseAfterBytes.bytes) {
      isPaused = true;
      socket.pause();
      void pauseAfterBytes.until.finally(() => socket.resume());
    }
    if (bytesPerSecond !== undefined) {
      socket.pause();
      setTimeout(() => socket.resume(), (1000 * body.length) / bytesPerSecond);
    }
  };

  const socket = await Bun.connect({
    hostname: address.host,
    port: address.port,
    allowHalfOpen: true,
    socket: {
      data(socket, data) {
        if (hasLeft) return;
        if (state.parsed !== undefined) return takeBody(socket, data);
        state.pending = Buffer.concat([state.pending, data]);
        const received = state.pending.toString("latin1", 0, HEAD_BYTES_MAX);
        state.parsed = parseHead(received);
        if (state.parsed === undefined) return;
        state.head = received.slice(0, state.parsed.headBytes);
        unframeBody = unframe?.(state.head);
        takeBody(socket, state.pending.subarray(state.parsed.headBytes));
      },
      end: (socket) => void socket.end(),
      close: () => done.resolve(),
      error: () => done.resolve(),
      connectError: () => done.resolve(),
    },
  });
  try {
    await send(socket, request, behaviour.byteByByte === true);
    if (behaviour.halfCloses === true) socket.shutdown();
    await within(
      behaviour.timeoutMs ?? TIMEOUT_MS,
      () => `the response to ${JSON.stringify(request.slice(0, 80))}, of which ${state.bytes} bytes have come`,
      done.promise,
    );
  } finally {
    socket.terminate();
  }
  const { parsed, bytes, extra } = state;
  const isWhole = unframeBody !== undefined ? state.isLast : bytes === parsed?.length;
  return {
    status: parsed?.status,
    length: parsed?.length,
    bytes,
    sha256: hash.digest("hex"),
    isComplete: parsed !== undefined && isWhole && extra === 0,
    head: parsed === undefined ? state.pending.toString("latin1") : state.head,
  };
}

async function send(socket: Socket, request: string, byteByByte: boolean): Promise<void> {
  const bytes = Buffer.from(request, "latin1");
  if (!byteByByte) {
    socket.write(bytes);
    return;
  }
  socket.setNoDelay(true);
  for (let index = 0; index < bytes.length; index++) {
    if (socket.write(bytes.subarray(index, index + 1)) < 0) return; // refused already
    socket.flush();
    await Bun.sleep(0);
  }
}
