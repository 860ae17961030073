import { limitSendBuffer } from "@proj/ipc";
import { type HotResponse, restOf } from "../hot-tier.ts";
import { NEAR_US, REFERRED_BYTES_MAX, SEND_BUFFER_BYTES, SEND_TIMEOUT_S } from "../limits.ts";
import type { Loan } from "../loan-table.ts";
import { type ByteTaker, ReadyResponse } from "../ready-response.ts";
import type { LargeSender, SendTurns } from "../send-turns.ts";
import { type ClientSocket, clientAddress } from "./connection.ts";

/** A body on loan that is no larger leaves at once, as one that is copied does: it needs no turn (SendTurns). */
const AT_ONCE_BYTES_MAX = SEND_BUFFER_BYTES;

/** Whose responses a {@link ReadySender} sends: the client's connection. */
export interface ReadySenderOwner {
  /** The kernel has taken so many bytes. */
  sent(bytes: number): void;
  /** All of the response is with the kernel. */
  finish(): void;
  /** Whether `finish` shuts the connection down: the end then leaves in one packet with what is written last. */
  readonly endsAfterResponse: boolean;
}

/** Sends one client what needs nobody's help any more, as fast as it takes it: one response at a time. */
export class ReadySender implements LargeSender, ByteTaker {
  readonly #socket: ClientSocket;
  readonly #turns: SendTurns;
  readonly #owner: ReadySenderOwner;
  /** A response, or the rest of one, that waits for the client only. */
  #ready: ReadyResponse | undefined;
  /** The client is near, and what the kernel holds of our responses is bounded therefore; undefined while nobody has looked. */
  #isNear: boolean | undefined;

  constructor(socket: ClientSocket, turns: SendTurns, owner: ReadySenderOwner) {
    this.#socket = socket;
    this.#turns = turns;
    this.#owner = owner;
  }

  /** Whether there is a response that the client has not taken all of. */
  get isWaiting(): boolean {
    return this.#ready !== undefined;
  }

  /**
   * A body is about to be written, whoever writes it: what the kernel may hold of it is bounded, if that is less and the client is near.
   *
   * @param bodyBytes Undefined: nobody knows.
   * @param isOnLoan What is on loan is not copied, unless it is large.
   */
  expectBody(bodyBytes: number | undefined, isOnLoan: boolean): void {
    if (bodyBytes !== undefined && bodyBytes <= (isOnLoan ? REFERRED_BYTES_MAX : SEND_BUFFER_BYTES)) return;
    this.#isNear ??= limitSendBuffer(this.#socket.fd, SEND_BUFFER_BYTES, NEAR_US);
  }

  /** Writes what is on loan from `start` on, without a copy where that can be and is better; returns as {@link ClientSocket.write}. */
  writeLoan(loan: Loan, start: number): number {
    const { bytes, fildes } = loan;
    const isCopied =
      fildes === undefined || (bytes.length > REFERRED_BYTES_MAX && this.#isNear && isLocal(this.#socket));
    const sent = isCopied ? undefined : this.#socket.sendFile?.(fildes, start, bytes.length - start);
    const taken = sent ?? this.#socket.write(bytes.subarray(start));
    if (taken < 0) loan.examine();
    return taken;
  }

  /** @param ready What {@link HotResponse.ready} is for this client: all of the response but for a body on loan. */
  sendHot(hot: HotResponse, ready: Uint8Array): void {
    const { loan, bodyBytes } = hot;
    if (loan !== undefined && bodyBytes > AT_ONCE_BYTES_MAX) return this.#sendInTurn(hot, ready, loan);
    const taken = this.#socket.write(ready, loan !== undefined || this.#owner.endsAfterResponse);
    if (taken < 0) return;
    this.#owner.sent(taken);
    const ofLoan = loan === undefined || taken < ready.length ? 0 : this.#told(this.writeLoan(loan, 0));
    if (ofLoan < 0) return;
    if (taken + ofLoan === ready.length + (loan?.bytes.length ?? 0)) return this.#owner.finish();
    this.expectBody(bodyBytes, loan !== undefined);
    loan?.retain();
    this.send(new ReadyResponse(restOf(hot, ready, taken), loan, ofLoan));
  }

  #sendInTurn(hot: HotResponse, ready: Uint8Array, loan: Loan): void {
    this.expectBody(hot.bodyBytes, true);
    loan.retain();
    this.#ready = new ReadyResponse(restOf(hot, ready, 0), loan);
    this.#turns.ask(this);
  }

  send(ready: ReadyResponse): void {
    const outcome = ready.send(this);
    if (outcome === "gone") return ready.drop();
    if (outcome === "waits") {
      this.#ready = ready;
      return this.#socket.timeout(SEND_TIMEOUT_S);
    }
    this.#ready = undefined;
    this.#turns.end(this);
    this.#owner.finish();
  }

  /** The kernel has room again. Only while {@link isWaiting}. */
  drained(): void {
    if (this.#ready === undefined || this.#turns.keepsWaiting(this)) return;
    this.#turns.gotOn(this);
    this.send(this.#ready);
  }

  turnCame(): void {
    if (this.#ready !== undefined) this.send(this.#ready);
  }

  /** The client has left. */
  drop(): void {
    if (this.#ready === undefined) return;
    this.#turns.end(this);
    this.#ready.drop();
  }

  take(bytes: Uint8Array, isMore: boolean): number {
    return this.#told(this.#socket.write(bytes, isMore || this.#owner.endsAfterResponse));
  }

  takeLoan(loan: Loan, start: number): number {
    return this.#told(this.writeLoan(loan, start));
  }

  #told(taken: number): number {
    if (taken > 0) this.#owner.sent(taken);
    return taken;
  }
}

/** Whether the client is on this machine: then it reads from the very memory that was written. */
function isLocal(socket: ClientSocket): boolean {
  return LOOPBACK.test(clientAddress(socket));
}

const LOOPBACK = /^127\.|^::1$/;
