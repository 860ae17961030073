import { EventLoop } from "../event-loop.ts";
import { IoUring } from "../io-uring.ts";
import { PARTINGS_MAX, Partings } from "./partings.ts";
import { RECEIVES_MAX, ReceiveBatch } from "./receive-batch.ts";
import { SENDS_MAX, SendBatch } from "./send-batch.ts";

/** For {@link RECEIVES_MAX}, {@link SENDS_MAX} and {@link PARTINGS_MAX}, and a power of two. */
const CALLS = 64;

/** What the sockets of a thread ask of the kernel together. */
export interface SocketCalls {
  readonly receives: ReceiveBatch;
  readonly sends: SendBatch;
  readonly partings: Partings;
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
  const calls = {
    receives: new ReceiveBatch(ring, 0),
    sends: new SendBatch(ring, RECEIVES_MAX),
    partings: new Partings(ring, RECEIVES_MAX + SENDS_MAX),
  };
  EventLoop.current().addBatch({
    foreseen: () => calls.receives.run(),
    turnEnds: () => {
      calls.sends.flush();
      calls.partings.turnEnds();
    },
  });
  return calls;
}

/** Closes what lingers ({@link StreamSocket.linger}) in the calling thread and whose peer has ended: else that is found a few milliseconds later. For who counts connections. */
export function closeParted(): void {
  current?.calls?.partings.look();
}
