/** How long others wait for a node that has died. */
export const LEASE_MS = 2_000;
const RENEW_MS = 600;
/** What a lease says when nobody need wait: the response can not be shared, or is long in coming. */
export const PASS = "pass";
const PASS_MS = 10_000;

/** This node's leave to ask the origin for a key while the others wait. Kept up until it is over. */
export class Lease {
  readonly key: string;
  readonly token: string;
  readonly #renew: (lease: Lease, value: string, ms: number) => void;
  readonly #timer: Timer;
  #isOver = false;

  /** @param renew Tells the engine: `ms` 0 gives the lease up. */
  constructor(key: string, token: string, renew: (lease: Lease, value: string, ms: number) => void) {
    this.key = key;
    this.token = token;
    this.#renew = renew;
    this.#timer = setInterval(() => renew(this, token, LEASE_MS), RENEW_MS);
  }

  /** What was asked for will not come into the engine, or is there: whoever waits looks again. */
  release(): void {
    if (this.#end()) this.#renew(this, this.token, 0);
  }

  /** For a while nobody need wait for this key. */
  pass(): void {
    if (this.#end()) this.#renew(this, PASS, PASS_MS);
  }

  /** The engine has ended it together with something else. */
  ended(): void {
    this.#end();
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearInterval(this.#timer);
    return true;
  }
}
