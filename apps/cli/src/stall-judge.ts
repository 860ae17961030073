import { isStalled, type SilenceParts } from "@proj/process";
import { HEARTBEAT_MS, type Side } from "@proj/protocol/process";

/**
 * A stopped process (SIGSTOP) is stopped beyond doubt: this long after that is seen, which takes a beat or two, it is replaced. While the proxy is, nobody is served, so that is
 * soon; the cache the proxy can do without for a while, and what it has in memory is worth some patience.
 */
const STOPPED_AFTER_MS: Record<Side, number> = { proxy: 150, cache: 2_000 };

/**
 * A thread that could have run for so long and has not moved is not waited for any longer. The longest that one has been seen to take for a turn of its event loop is an eighth of a second
 * (docs/reliability.md). Where the proxy has other threads they accept meanwhile, and who is being answered by this one waits; where it has not, nobody is served.
 */
const HUNG_AFTER_MS: Record<Side, number> = { proxy: 1_000, cache: 2_000 };
const HUNG_ALONE_AFTER_MS = 500;
/** A main thread serves nobody, and a process that does not serve yet loads its programs and reads its store: there is time. */
const HUNG_AT_LEISURE_AFTER_MS = 5_000;
/** Until it has a control block a process loads its code, which takes 0.15 s of processor time. */
const NOT_BEGUN_AFTER_MS = 15_000;
/** For one of its threads not even that is known which it has waited for a processor. */
const THREAD_NOT_BEGUN_AFTER_MS = 60_000;

/** What one look at a process has shown. */
export interface ProcessFacts {
  /** SIGSTOP. */
  readonly isStopped: boolean;
  /** It has said that it serves. */
  readonly isServing: boolean;
  /** Threads that serve, whether silent or not. */
  readonly threads: number;
  /** Of those, and of the main thread, which have been silent for a while. */
  readonly silences: readonly Silence[];
  /** It has no control block yet: how long it has been there. Undefined: it has. */
  readonly loading: SilenceParts | undefined;
  /** A thread that has not begun; undefined: all have. */
  readonly notBegun: number | undefined;
}

export interface Silence extends SilenceParts {
  readonly thread: number | "main";
}

/** What is to be thought of a process; `silent` and `hopeless` say why. */
export type Verdict =
  | { readonly kind: "well" }
  | { readonly kind: "silent"; readonly why: string }
  | { readonly kind: "hopeless"; readonly why: string };

/** Judges one life of a process by looks {@link HEARTBEAT_MS} apart. */
export class StallJudge {
  readonly #side: Side;
  #stoppedMs = 0;
  #notBegunMs = 0;

  constructor(side: Side) {
    this.#side = side;
  }

  /** To be called with each look. */
  judge(facts: ProcessFacts): Verdict {
    this.#stoppedMs = facts.isStopped ? this.#stoppedMs + HEARTBEAT_MS : 0;
    if (this.#stoppedMs > 0) {
      const isHopeless = this.#stoppedMs >= STOPPED_AFTER_MS[this.#side];
      return { kind: isHopeless ? "hopeless" : "silent", why: "it is stopped (SIGSTOP)" };
    }
    const neverBegins = this.#neverBegins(facts);
    if (neverBegins !== undefined) return { kind: "hopeless", why: neverBegins };
    const hung = facts.silences.find((silence) => this.#isHung(silence, facts));
    if (hung !== undefined) return { kind: "hopeless", why: describe(hung) };
    const silent = facts.silences.find((silence) => facts.isServing && isStalled(silence));
    return silent === undefined ? { kind: "well" } : { kind: "silent", why: describe(silent) };
  }

  #neverBegins({ loading, notBegun }: ProcessFacts): string | undefined {
    this.#notBegunMs = notBegun === undefined ? 0 : this.#notBegunMs + HEARTBEAT_MS;
    if (this.#notBegunMs >= THREAD_NOT_BEGUN_AFTER_MS)
      return `its thread ${notBegun} has not begun for ${THREAD_NOT_BEGUN_AFTER_MS / 1000} s`;
    if (loading === undefined || loading.waitsForDisk || loading.ownMs - loading.diskMs < NOT_BEGUN_AFTER_MS)
      return undefined;
    return `it has not begun to start its threads for ${NOT_BEGUN_AFTER_MS / 1000} s`;
  }

  /** What it waited for a disk is not counted, and SIGKILL does not end such a wait. */
  #isHung({ thread, ownMs, diskMs, waitsForDisk }: Silence, { isServing, threads }: ProcessFacts): boolean {
    if (waitsForDisk) return false;
    const hungMs = ownMs - diskMs;
    if (thread === "main" || !isServing) return hungMs >= HUNG_AT_LEISURE_AFTER_MS;
    if (this.#side === "proxy" && threads === 1) return hungMs >= HUNG_ALONE_AFTER_MS;
    return hungMs >= HUNG_AFTER_MS[this.#side];
  }
}

function describe({ thread, ownMs, waitsForDisk }: Silence): string {
  const waiting = waitsForDisk ? ": it waits for a disk" : "";
  return `its thread ${thread} has not moved for ${(ownMs / 1000).toFixed(1)} s${waiting}`;
}
