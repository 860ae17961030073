import { type HotResponse, restOf } from "../hot-tier.ts";
import { SEND_TIMEOUT_S } from "../limits.ts";
import type { Loan } from "../loan-table.ts";
import { type ByteTaker, ReadyResponse } from "../ready-response.ts";
import type { LargeSender, SendTurns } from "../send-turns.ts";
import { boundSendBuffer, type ClientSocket, writeLoan } from "./connection.ts";

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
  /** What the kernel holds of our responses is bounded. */
  #isBounded = false;

  constructor(socket: ClientSocket, turns: SendTurns, owner: ReadySenderOwner) {
    this.#socket = socket;
    this.#turns = turns;
    this.#owner = owner;
  }

  /** Whether there is a response that the client has not taken all of. */
  get isWaiting(): boolean {
    return this.#ready !== undefined;
  }

  /** A body of that length is about to be copied into the kernel, whoever writes it; undefined: nobody knows its length. What is on loan is not copied. */
  expectBody(bodyBytes: number | undefined): void {
    this.#isBounded ||= boundSendBuffer(this.#socket, bodyBytes);
  }

  /** @param ready What {@link HotResponse.ready} is for this client: all of the response but for a body on loan. */
  sendHot(hot: HotResponse, ready: Uint8Array): void {
    if (hot.loan !== undefined) {
      hot.loan.retain();
      this.#ready = new ReadyResponse(restOf(hot, ready, 0), hot.loan);
      this.#turns.ask(this);
      return;
    }
    const taken = this.#socket.write(ready, this.#owner.endsAfterResponse);
    if (taken < 0) return;
    this.#owner.sent(taken);
    if (taken === ready.length) return this.#owner.finish();
    this.expectBody(hot.bodyBytes);
    this.send(new ReadyResponse(restOf(hot, ready, taken)));
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
    return this.#told(writeLoan(this.#socket, loan, start));
  }

  #told(taken: number): number {
    if (taken > 0) this.#owner.sent(taken);
    return taken;
  }
}
