import type { Refusal } from "@proj/protocol";
import type { FillHost } from "./fill-host.ts";
import type { GrowingBody } from "./growing-body.ts";
import { SmallSet } from "./small-set.ts";
import type { Transfer } from "./transfer.ts";

/**
 * A body that nobody keeps goes on with its slowest reader. Where several share one (its length was unknown, and it has outgrown the tiers), one that takes nothing for so long while
 * others have all that is there is cut off: by itself it would have a minute.
 */
const HOLDS_UP_MS = 5_000;

/** Where a body comes from: it can be held up. */
export interface BodyOrigin {
  pause(): void;
  resume(): void;
}

/**
 * Those who read a body while it arrives. What is not kept runs so far ahead of the slowest of them and no farther; who stands still while the others wait for
 * that is cut off.
 */
export class BodyReaders {
  readonly #host: Pick<FillHost, "storage" | "serve" | "refuse">;
  readonly #origin: BodyOrigin;
  readonly #body: Pick<GrowingBody, "bytes" | "tier" | "dropBefore">;
  readonly #bodyStart: number;
  readonly #readers = new SmallSet<Transfer>();
  readonly #lengthWanted = new SmallSet<Transfer>();
  /** The origin is not read on until the slowest reader has caught up. */
  #isHeldUp = false;
  /** Will cut off who holds others up, at this position of the body. */
  #holdsUp: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;
  #serving = false;

  /**
   * @param body What arrives.
   * @param bodyStart Where it begins in the body that readers see.
   */
  constructor(
    host: Pick<FillHost, "storage" | "serve" | "refuse">,
    origin: BodyOrigin,
    body: Pick<GrowingBody, "bytes" | "tier" | "dropBefore">,
    bodyStart: number,
  ) {
    this.#host = host;
    this.#origin = origin;
    this.#body = body;
    this.#bodyStart = bodyStart;
  }

  /** How many there are, with those who want the length first. */
  get size(): number {
    return this.#readers.size + this.#lengthWanted.size;
  }

  add(transfer: Transfer): void {
    this.#readers.add(transfer);
    this.serveSoon();
  }

  /** It reads nothing before the length of the body is known. */
  addForLength(transfer: Transfer): void {
    this.#lengthWanted.add(transfer);
  }

  delete(transfer: Transfer): void {
    this.#lengthWanted.delete(transfer);
    this.#readers.delete(transfer);
  }

  /** Once all that one read of the origin's socket brought is in: head and body then leave in one portion. */
  serveSoon(): void {
    if (this.#serving) return;
    this.#serving = true;
    queueMicrotask(() => {
      this.#serving = false;
      this.serve();
    });
  }

  serve(): void {
    for (const transfer of this.#readers.list()) this.#host.serve(transfer);
  }

  /** The whole body has come. Returns those who have waited for its length, who are no readers of this any more. */
  lengthKnown(bodyBytes: number, trailers: Uint8Array | undefined): readonly Transfer[] {
    for (const transfer of this.#readers.list()) transfer.lengthKnown(bodyBytes, trailers);
    return this.#lengthWanted.take();
  }

  /** There will be no more of the body, which is not whole. */
  cut(refusal: Refusal): void {
    for (const transfer of this.#lengthWanted.list()) this.#host.refuse(transfer, refusal);
    this.serve();
  }

  /** Back-pressure for a body that is not kept: it runs so far ahead of its slowest reader and no farther. */
  control(): void {
    const body = this.#body;
    if (body.tier !== undefined) return;
    const slowest = this.#slowest();
    body.dropBefore(slowest);
    const aheadBytes = body.bytes - slowest;
    const { windows } = this.#host.storage;
    if (this.#lengthWanted.size > 0) {
      if (!windows.mayHoldBack(aheadBytes))
        for (const transfer of this.#lengthWanted.list()) this.#host.refuse(transfer, "length-unknown");
    } else if (aheadBytes > windows.aheadBytesMax) {
      this.#origin.pause();
      this.#isHeldUp = true;
    } else if (aheadBytes < windows.aheadBytesMax / 2) {
      this.#origin.resume();
      this.#isHeldUp = false;
    }
    // Also in between, where the origin is not read on yet: a reader may stand still there as well.
    if (this.#isHeldUp) this.#watch(slowest);
  }

  /** The body is over: nobody is watched any more. */
  stop(): void {
    clearTimeout(this.#holdsUp?.timer);
  }

  /** How far the last of them is. */
  #slowest(): number {
    let slowest = this.#lengthWanted.size > 0 ? 0 : this.#body.bytes;
    for (const transfer of this.#readers.list()) slowest = Math.min(slowest, Math.max(0, this.#positionOf(transfer)));
    return slowest;
  }

  #positionOf(transfer: Transfer): number {
    return transfer.bodyPosition - this.#bodyStart;
  }

  #watch(at: number): void {
    if (this.#holdsUp?.at === at || this.#readers.size < 2) return;
    clearTimeout(this.#holdsUp?.timer);
    this.#holdsUp = { at, timer: setTimeout(() => this.#cutOff(at), HOLDS_UP_MS) };
  }

  /** Those who still are where they were, if that is what others wait for. */
  #cutOff(at: number): void {
    this.#holdsUp = undefined;
    const positions = this.#readers.list().map((transfer) => ({ transfer, position: this.#positionOf(transfer) }));
    for (const { transfer } of holdingUp(positions, at, this.#body.bytes)) {
      this.#readers.delete(transfer);
      this.#host.refuse(transfer, "cut-short");
    }
    this.control();
  }
}

/**
 * Those of the readers of one body for whom others wait.
 *
 * @param at Where the slowest was when the origin was held up, and those who stand still are yet.
 * @param arrivedBytes Who has so much has all that is there, and can not go on. Where nobody has, nobody is held up by another.
 */
export function holdingUp<Reader extends { readonly position: number }>(
  readers: readonly Reader[],
  at: number,
  arrivedBytes: number,
): readonly Reader[] {
  if (!readers.some(({ position }) => position >= arrivedBytes)) return [];
  return readers.filter(({ position }) => position <= at);
}
