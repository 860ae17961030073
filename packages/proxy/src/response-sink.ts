import type { PortionAnswer, Refusal, ResponseAnswer } from "@proj/protocol";
import type { Loan } from "./loan-table.ts";

/** Why there is no response: the cache's word, or the request does not fit into a segment, or there is no cache. */
export type RefusalReason = Refusal | "request-too-large" | "cache-away";

/** Refusals that say nothing about the origin: it is asked without the cache. */
export const ASKED_WITHOUT_CACHE: ReadonlySet<RefusalReason> = new Set(["cache-away", "request-too-large"]);

/** Where a response goes: one client connection, in the words of its wire. A {@link Delivery} calls it in this order: `begin`, `frame` and `write` for each portion, `finish`. */
export interface ResponseSink {
  /**
   * The response is known and its first portion is there.
   *
   * @returns false when this wire can not carry it, which the cache should have known: nothing of it goes out.
   */
  begin(response: ResponseAnswer, portion: PortionAnswer): boolean;
  /** An interim response, whole, as it goes out before `begin`, where the wire has such. Valid during the call only. */
  interim(message: Uint8Array): void;
  /**
   * Renders what goes around a portion into the room that the segment has before and behind it.
   *
   * @returns The bytes of the segment that go out: offsets, end exclusive.
   */
  frame(segment: Uint8Array, portion: PortionAnswer): { start: number; end: number };
  /** Whether bytes of the stream go out as they are, so that a portion may be cut anywhere and asked for again. */
  readonly framesBody: boolean;
  /**
   * Hands bytes to the kernel; returns how many it took, or below 0 when the connection is gone.
   *
   * @param isMore Something follows at once.
   */
  write(bytes: Uint8Array, isMore: boolean): number;
  /** The same, of a body on loan, from `start` on. */
  writeLoan(loan: Loan, start: number): number;
  /** Nothing went out yet, and this is why nothing will: the wire's own words for it. */
  refuse(reason: RefusalReason): void;
  /** The whole stream went out. */
  finish(): void;
  /** Something went out and the rest will not come: the connection is reset, so that nobody takes it for whole. */
  abort(): void;
}
