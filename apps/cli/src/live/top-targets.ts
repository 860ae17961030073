import type { TakenRecord } from "../access/feed.ts";
import { Frequent } from "./frequent.ts";

/** What makes a target one of the top. */
export const RANKINGS = ["requests", "bytes", "misses"] as const;
export type Ranking = (typeof RANKINGS)[number];
export type TopTargets = Record<Ranking, { target: string; amount: number }[]>;

const CAPACITY = 512;
const MINUTE_MS = 60_000;
/** Minutes that count. */
export const TOP_MINUTES = 10;

type Minute = Record<Ranking, Frequent>;

/** The targets that were asked for most in the last minutes. */
export class RecentTargets {
  readonly #minutes: { startedMs: number; minute: Minute }[] = [];

  add(record: TakenRecord): void {
    const { verdict, weight, bytes, host, target } = record;
    if (verdict === "malformed") return;
    const key = host === "" ? target : `${host}${target}`;
    const minute = this.#minuteOf(record.startedMs);
    minute.requests.add(key, weight);
    if (bytes > 0) minute.bytes.add(key, bytes * weight);
    if (verdict !== "hot" && verdict !== "hit" && verdict !== "pass" && verdict !== "refused")
      minute.misses.add(key, weight);
  }

  /** The first `count` of each ranking, over the last ten minutes. */
  top(count: number, nowMs: number): TopTargets {
    this.#forgetBefore(nowMs - TOP_MINUTES * MINUTE_MS);
    const of = (ranking: Ranking) => {
      const sums = new Map<string, number>();
      for (const { minute } of this.#minutes)
        for (const [target, amount] of minute[ranking].entries()) sums.set(target, (sums.get(target) ?? 0) + amount);
      return [...sums]
        .sort(([, one], [, other]) => other - one)
        .slice(0, count)
        .map(([target, amount]) => ({ target, amount }));
    };
    return { requests: of("requests"), bytes: of("bytes"), misses: of("misses") };
  }

  #minuteOf(ms: number): Minute {
    const newest = this.#minutes.at(-1);
    // Records of several threads come a little out of order; a clock that is set back does not open old minutes again.
    if (newest !== undefined && ms < newest.startedMs + MINUTE_MS) return newest.minute;
    const minute = { requests: new Frequent(CAPACITY), bytes: new Frequent(CAPACITY), misses: new Frequent(CAPACITY) };
    this.#minutes.push({ startedMs: ms, minute });
    if (this.#minutes.length > TOP_MINUTES) this.#minutes.shift();
    return minute;
  }

  #forgetBefore(ms: number): void {
    while (this.#minutes[0] !== undefined && this.#minutes[0].startedMs + MINUTE_MS < ms) this.#minutes.shift();
  }
}
