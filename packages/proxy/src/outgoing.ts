import { PrefixViews } from "@proj/ipc";
import type { ClientSocket } from "./listeners/connection.ts";

/** What small pieces are gathered into, so that head, chunk heads and content leave in one write. One for the thread: whoever writes last owns it. */
const gathered = Buffer.from(new ArrayBuffer(64 * 1024));
const gatheredViews = PrefixViews.over(gathered);
let gatheredBytes = 0;
let owner: Outgoing | undefined;
let isFlushDue = false;

function flushAtEndOfTurn(): void {
  isFlushDue = false;
  owner?.flush();
}

const NONE = new Uint8Array(0);

/**
 * Octets on their way to one client, in order. Small ones leave together at the end of this turn of the event loop; what the kernel does not take
 * waits here, so whoever produces them has to stop when told.
 */
export class Outgoing {
  readonly #socket: Pick<ClientSocket, "write">;
  readonly #onHeldBack: () => void;
  readonly #onSent: (bytes: number) => void;
  #isHeld = false;
  #waiting = NONE;
  #waitingFrom = 0;
  #waitingTo = 0;
  /** Something of what came since {@link begin} has gone out, or is behind what was there before. */
  #hasBegun = true;

  /**
   * @param told.onHeldBack The kernel takes no more just now. Called whenever it has left something.
   * @param told.onSent It has taken so many octets.
   */
  constructor(socket: Pick<ClientSocket, "write">, told: { onHeldBack: () => void; onSent: (bytes: number) => void }) {
    this.#socket = socket;
    this.#onHeldBack = told.onHeldBack;
    this.#onSent = told.onSent;
  }

  /** Whether something that was flushed waits here: the kernel has left it, or it is held. */
  get isHeldBack(): boolean {
    return this.#isHeld || this.#waitingFrom < this.#waitingTo;
  }

  /** What follows is a message that may be taken back, as long as nothing of it has gone out. */
  begin(): void {
    this.flush();
    this.#hasBegun = this.isHeldBack;
  }

  /** Drops all of the message that was begun last; false where something of it has gone out. */
  takeBack(): boolean {
    if (this.#hasBegun) return false;
    this.discard();
    return true;
  }

  /** Nothing goes out until {@link release}. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.drained();
  }

  /** One octet for each char. */
  text(latin1: string): void {
    if (latin1.length > gathered.length || this.isHeldBack) return this.bytes(Buffer.from(latin1, "latin1"));
    this.#makeRoom(latin1.length);
    gathered.write(latin1, gatheredBytes, "latin1");
    gatheredBytes += latin1.length;
  }

  /** `chunk` is valid during the call only. */
  bytes(chunk: Uint8Array): void {
    if (this.isHeldBack) {
      this.flush(); // what was gathered before goes first
      return this.#keep(chunk);
    }
    if (chunk.length > gathered.length / 2) {
      this.flush();
      return this.#hand(chunk);
    }
    this.#makeRoom(chunk.length);
    gathered.set(chunk, gatheredBytes);
    gatheredBytes += chunk.length;
  }

  /** Hands the kernel what has been gathered. */
  flush(): void {
    if (owner !== this) return;
    owner = undefined;
    const bytes = gatheredBytes;
    gatheredBytes = 0;
    this.#hand(gatheredViews.of(bytes));
  }

  /** The kernel has room again. */
  drained(): void {
    if (this.#isHeld || this.#waitingFrom === this.#waitingTo) return;
    const taken = Math.max(0, this.#socket.write(this.#waiting.subarray(this.#waitingFrom, this.#waitingTo)));
    if (taken > 0) this.#hasBegun = true;
    this.#onSent(taken);
    this.#waitingFrom += taken;
    if (this.#waitingFrom === this.#waitingTo) this.#forget();
  }

  /** The client has left: nothing of it goes out any more. */
  discard(): void {
    if (owner === this) {
      owner = undefined;
      gatheredBytes = 0;
    }
    this.#isHeld = false;
    this.#forget();
  }

  #forget(): void {
    this.#waiting = NONE;
    this.#waitingFrom = 0;
    this.#waitingTo = 0;
  }

  /** Makes the gathered octets ours alone, with room for `bytes` more. */
  #makeRoom(bytes: number): void {
    if (owner === this && gatheredBytes + bytes <= gathered.length) return;
    owner?.flush();
    owner = this;
    if (isFlushDue) return;
    isFlushDue = true;
    queueMicrotask(flushAtEndOfTurn);
  }

  #hand(bytes: Uint8Array): void {
    if (this.isHeldBack) return this.#keep(bytes); // what was flushed before was not taken
    const taken = Math.max(0, this.#socket.write(bytes)); // below 0: it is closed, and says so
    if (taken > 0) this.#hasBegun = true;
    this.#onSent(taken);
    if (taken === bytes.length) return;
    this.#keep(bytes.subarray(taken));
    this.#onHeldBack();
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#waitingTo - this.#waitingFrom;
    if (this.#waitingTo + bytes.length > this.#waiting.length) {
      const grown = new Uint8Array(Math.max(4096, length + bytes.length, length * 2));
      grown.set(this.#waiting.subarray(this.#waitingFrom, this.#waitingTo));
      this.#waiting = grown;
      this.#waitingFrom = 0;
      this.#waitingTo = length;
    }
    this.#waiting.set(bytes, this.#waitingTo);
    this.#waitingTo += bytes.length;
  }
}
