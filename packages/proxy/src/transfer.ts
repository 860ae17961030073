import type { Refusal } from "@proj/protocol";

/**
 * The life of one response on its way out, steps 2 to 11 of the flow, as a pure state machine. Positions count bytes of the transfer's stream:
 * the head block, then the body.
 */
export type Transfer =
  /** Step 2: all segments are taken, ours is being waited for. */
  | { phase: "waiting-for-segment" }
  /** Steps 4 to 8: asked for the first portion. */
  | { phase: "waiting-for-cache" }
  /** The cache was away, or the origin is slow: nothing is held until there is something to read. */
  | { phase: "waiting-for-notice" }
  | Sending
  /** Step 10 has its answer: the whole stream went out, or the client saw an abort. */
  | { phase: "done"; outcome: Outcome };

/** Steps 9 to 11: portions arrive, leave, and the next are asked for. */
export interface Sending {
  phase: "sending";
  /** Bytes that the kernel has taken. */
  sentBytes: number;
  /** Bytes that have arrived, in order. */
  arrivedBytes: number;
  /** Bytes that have been asked for; beyond `arrivedBytes` only where the cache is known to have them. */
  askedBytes: number;
  /** A portion of unknown length has been asked for at `askedBytes`: nothing may be asked behind it. */
  openEnded: boolean;
  /** How far the cache had the stream when it answered last. */
  availableBytes: number;
  /** Where the stream ends; undefined while nobody knows. */
  endBytes: number | undefined;
  /** The cache remembers the transfer until it is told to close. */
  open: boolean;
  /** Any byte can be asked for again: a segment may be given back before its portion is sent. */
  replayable: boolean;
}

export type Outcome = "sent" | "refused" | "aborted" | "client-left";

export type TransferEvent =
  | { type: "segment-taken" }
  | {
      type: "portion";
      bytes: number;
      last: boolean;
      open: boolean;
      replayable: boolean;
      availableBytes: number;
      endBytes: number | undefined;
    }
  | { type: "asked"; bytes: number | undefined }
  | { type: "sent"; bytes: number; last: boolean }
  /** The client is slow and others wait for segments: what was not sent is given back, to be asked for again. */
  | { type: "parked" }
  | { type: "pending" }
  | { type: "refused"; refusal: Refusal }
  | { type: "cache-lost" }
  | { type: "client-left" };

export const NEW_TRANSFER: Transfer = { phase: "waiting-for-segment" };

/** What holds after `event`. The caller does the I/O that the new phase asks for. */
export function step(transfer: Transfer, event: TransferEvent): Transfer {
  if (transfer.phase === "done") return transfer; // what was still under way comes home
  if (event.type === "client-left") return { phase: "done", outcome: "client-left" };
  switch (transfer.phase) {
    case "waiting-for-segment":
      if (event.type === "segment-taken") return { phase: "waiting-for-cache" };
      if (event.type === "refused") return { phase: "done", outcome: "refused" };
      break;
    case "waiting-for-cache":
      if (event.type === "portion") return firstPortion(event);
      if (event.type === "pending") return { phase: "waiting-for-notice" };
      if (event.type === "cache-lost") return NEW_TRANSFER; // nothing went out yet: from the start, once it is back
      if (event.type === "refused") return { phase: "done", outcome: "refused" };
      break;
    case "waiting-for-notice":
      if (event.type === "segment-taken") return { phase: "waiting-for-cache" };
      if (event.type === "cache-lost") return NEW_TRANSFER;
      if (event.type === "refused") return { phase: "done", outcome: "refused" };
      break;
    case "sending":
      return stepSending(transfer, event);
  }
  throw new Error(`Cannot take "${event.type}" in phase "${transfer.phase}"`);
}

function firstPortion(event: Extract<TransferEvent, { type: "portion" }>): Transfer {
  const endsElsewhere = event.endBytes !== undefined && event.last !== (event.bytes === event.endBytes);
  if (endsElsewhere) return { phase: "done", outcome: "aborted" };
  return {
    phase: "sending",
    sentBytes: 0,
    arrivedBytes: event.bytes,
    askedBytes: event.bytes,
    openEnded: false,
    availableBytes: event.availableBytes,
    endBytes: event.last ? event.bytes : event.endBytes,
    open: event.open,
    replayable: event.replayable,
  };
}

function stepSending(transfer: Sending, event: TransferEvent): Transfer {
  switch (event.type) {
    case "asked":
      return event.bytes === undefined
        ? { ...transfer, openEnded: true }
        : { ...transfer, askedBytes: transfer.askedBytes + event.bytes };
    case "portion":
      return portionArrived(transfer, event);
    case "sent": {
      const sentBytes = transfer.sentBytes + event.bytes;
      return event.last ? { phase: "done", outcome: "sent" } : { ...transfer, sentBytes };
    }
    case "parked":
      return { ...transfer, arrivedBytes: transfer.sentBytes, askedBytes: transfer.sentBytes, openEnded: false };
    case "pending":
      return { ...transfer, openEnded: false, askedBytes: transfer.arrivedBytes };
    case "refused":
    case "cache-lost":
      return { phase: "done", outcome: "aborted" }; // the head is out: only an abort tells the client
    default:
      throw new Error(`Cannot take "${event.type}" in phase "sending"`);
  }
}

function portionArrived(transfer: Sending, event: Extract<TransferEvent, { type: "portion" }>): Transfer {
  const arrivedBytes = transfer.arrivedBytes + event.bytes;
  const { endBytes } = transfer;
  // Step 10: a stream that ends elsewhere than it said would go out as whole and be none.
  const endsElsewhere = endBytes !== undefined && (event.last ? arrivedBytes !== endBytes : arrivedBytes >= endBytes);
  if (endsElsewhere) return { phase: "done", outcome: "aborted" };
  return {
    ...transfer,
    arrivedBytes,
    askedBytes: Math.max(transfer.askedBytes, arrivedBytes),
    openEnded: false,
    availableBytes: Math.max(transfer.availableBytes, event.availableBytes),
    endBytes: event.last ? arrivedBytes : endBytes,
    open: event.open,
    replayable: event.replayable,
  };
}

/**
 * Step 11: the next portion to ask for, when there is one to ask for now.
 *
 * Behind what has been asked for, a portion may be asked for only up to where the cache is known to have the stream: then each portion is just as long as
 * it was asked to be, and several can be in flight without gap or overlap. `bytesMax` undefined: as much as is there, at least a byte.
 */
export function nextAsk(
  transfer: Sending,
  capacityBytes: number,
): { firstByte: number; bytes: number | undefined } | undefined {
  const { askedBytes, arrivedBytes, endBytes, openEnded } = transfer;
  if (openEnded || askedBytes === endBytes) return undefined;
  const known = Math.min(transfer.availableBytes, endBytes ?? Number.POSITIVE_INFINITY) - askedBytes;
  if (known > 0) return { firstByte: askedBytes, bytes: Math.min(capacityBytes, known) };
  return askedBytes === arrivedBytes ? { firstByte: askedBytes, bytes: undefined } : undefined;
}
