import { EventLoop } from "../event-loop.ts";
import { IoUring } from "../io-uring.ts";
import { RECEIVES_MAX, ReceiveBatch } from "./receive-batch.ts";
import { SENDS_MAX, SendBatch } from "./send-batch.ts";

/** For {@link RECEIVES_MAX} and {@link SENDS_MAX}, and a power of two. */
const CALLS = 64;

/** What the sockets of a thread ask of the kernel together. */
export interface SocketCalls {
  readonly receives: ReceiveBatch;
  readonly sends: SendBatch;
}

let current: { calls: SocketCalls | undefined } | undefined;

/** The calling thread's; undefined where the kernel makes no calls for many at once: each socket makes its own then. */
export function socketCalls(): SocketCalls | undefined {
  current ??= { calls: open() };
  return current.calls;
}

function open(): SocketCalls | undefined {
  const ring = IoUring.open(CALLS);
  if (ring === undefined) return undefined;
  const calls = { receives: new ReceiveBatch(ring, 0), sends: new SendBatch(ring, RECEIVES_MAX) };
  EventLoop.current().addBatch({ foreseen: () => calls.receives.run(), turnEnds: () => calls.sends.flush() });
  return calls;
}
