/** Who has a large body to send. */
export interface LargeSender {
  /** Its turn has come: it writes what the kernel takes, now and whenever that has drained, until {@link SendTurns.end}. */
  turnCame(): void;
}

/** So many bodies of one thread go out at a time: enough to keep clients busy, and together no more in the kernel than the processor's caches hold. */
const TURNS = 4;
/** A client that takes nothing for so long loses its turn, and nobody waits longer for one: slow clients can not keep others waiting. */
const PATIENCE_MS = 20;
const LOOK_MS = 10;

/**
 * Lets the large bodies of one thread go out a few at a time, first come first served, instead of all at once. Each client is then sent its body in one go, while it is
 * still in the processor's caches, and most get theirs sooner than if all of them got theirs at the same slow pace. docs/performance.md has the figures.
 */
export class SendTurns {
  readonly #nowMs: () => number;
  /** Whose turn it is, and when they got on last. */
  readonly #active = new Map<LargeSender, number>();
  /** Who waits for a turn, in order, and since when. */
  readonly #waiting = new Map<LargeSender, number>();
  #looking: ReturnType<typeof setInterval> | undefined;
  #handing = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Calls `sender.turnCame()` once, at once or when its turn has come. It ends the turn with {@link end}, also when it does not want it any more. */
  ask(sender: LargeSender): void {
    this.#waiting.set(sender, this.#nowMs());
    this.#hand();
    if (this.#waiting.size > 0) this.#looking ??= setInterval(() => this.look(), LOOK_MS);
  }

  /** Whether it has asked and its turn has not come. */
  keepsWaiting(sender: LargeSender): boolean {
    return this.#waiting.has(sender);
  }

  /** The client has taken something. */
  gotOn(sender: LargeSender): void {
    if (this.#active.has(sender)) this.#active.set(sender, this.#nowMs());
  }

  end(sender: LargeSender): void {
    this.#waiting.delete(sender);
    if (this.#active.delete(sender)) this.#hand();
  }

  /** Who does not get on loses its turn and goes on without one; who has waited too long goes on as well. */
  look(): void {
    const patientSinceMs = this.#nowMs() - PATIENCE_MS;
    for (const [sender, gotOnMs] of this.#active) if (gotOnMs <= patientSinceMs) this.#active.delete(sender);
    for (const [sender, askedMs] of this.#waiting) {
      if (askedMs > patientSinceMs) break;
      this.#waiting.delete(sender);
      sender.turnCame();
    }
    this.#hand();
    if (this.#waiting.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  /** In a loop, not by recursion: a body that the kernel takes at once ends its turn within `turnCame`. */
  #hand(): void {
    if (this.#handing) return;
    this.#handing = true;
    for (const [sender] of this.#waiting) {
      if (this.#active.size >= TURNS) break;
      this.#waiting.delete(sender);
      this.#active.set(sender, this.#nowMs());
      sender.turnCame();
    }
    this.#handing = false;
  }
}
