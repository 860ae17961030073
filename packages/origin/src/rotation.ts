import type { Fields } from "@proj/protocol";
import type { ConnectionPool } from "./connection-pool.ts";
import type { OriginHealth } from "./origin-health.ts";

/** One of the origins that stand for each other. */
export interface Member {
  readonly url: URL;
  /** How requests name it. */
  readonly hostField: Fields;
  readonly pool: ConnectionPool;
  readonly health: OriginHealth;
  /** Exchanges sent to it, those included that came from another; and those that it failed before the head of a response. */
  asked: number;
  failures: number;
}

/** Which origin is next: one after the other, those left out that rest, while there are others. */
export class Rotation {
  readonly members: readonly Member[];
  #next = 0;

  constructor(members: readonly Member[]) {
    this.members = members;
  }

  /**
   * The next origin, and `undefined` when all have been tried.
   *
   * @param tried Not these.
   */
  next(tried: ReadonlySet<Member>, nowMs: number): Member | undefined {
    const { members } = this;
    let leastBad: Member | undefined;
    for (let step = 0; step < members.length; step++) {
      const index = (this.#next + step) % members.length;
      const member = members[index]!;
      if (tried.has(member)) continue;
      if (member.health.mayBeAsked(nowMs)) {
        this.#next = index + 1;
        return member;
      }
      if (leastBad === undefined || member.health.restUntilMs < leastBad.health.restUntilMs) leastBad = member;
    }
    return leastBad;
  }

  /** Whether an origin is good that is not among `tried`. */
  hasGood(tried: ReadonlySet<Member>, nowMs: number): boolean {
    return this.members.some((member) => !tried.has(member) && member.health.mayBeAsked(nowMs));
  }
}
