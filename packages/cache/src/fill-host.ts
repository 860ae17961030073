import type { CacheCounter, Counters, LogRecord, Refusal, Verdict } from "@proj/protocol";
import type { Fate } from "./explain/explain.ts";
import type { Fill } from "./fill.ts";
import type { FillAsk } from "./fill-ask.ts";
import type { OriginTimes } from "./origin-times.ts";
import type { Available, Handling } from "./reply.ts";
import type { SharedSide } from "./shared/shared-side.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import type { Source, Transfer } from "./transfer.ts";

/**
 * What a fill is for. `shared`: whoever asks for the key meanwhile waits for it too. `own`: for one client, since its credentials may matter;
 * the response may be stored all the same. `pass`: caching has no part in it, the client's conditions and ranges go to the origin.
 */
export type FillMode = "shared" | "own" | "pass";

/** What a fill is begun with. */
export interface FillStart {
  readonly mode: FillMode;
  readonly ask: FillAsk;
  /** Why the origin is asked: what Cache-Status will say. */
  readonly reason: Verdict;
}

/** What a fill needs of the shard it belongs to. */
export interface FillHost {
  readonly storage: TieredStorage;
  /** Where there is one, it is asked before the origin is. */
  readonly shared: SharedSide | undefined;
  readonly counters: Counters<CacheCounter>;
  readonly originTimes: OriginTimes;
  readonly log: (record: LogRecord) => void;
  /** Wall clock: it is compared with dates of the origin. */
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  /** Gives `transfer` what is available, now that it is. */
  attach(
    transfer: Transfer,
    available: Available,
    handling: Handling,
    source: Source | undefined,
  ): "attached" | "length-wanted" | "gone";
  /** Decides anew what answers a transfer that this fill can not serve, and answers it if it can be. */
  decide(transfer: Transfer, without: Fill): void;
  /** The same, but it waits for nobody now, nor anybody for it: what it waited for was for one client only. */
  goAlone(transfer: Transfer): void;
  /** Asks again for the whole, without any condition: what came can not be used with what is stored. */
  askForWhole(transfers: readonly Transfer[], reason: Verdict): void;
  /** An interim response for `transfer`, as it goes out. */
  interim(transfer: Transfer, status: number, bytes: Uint8Array): void;
  serve(transfer: Transfer): void;
  refuse(transfer: Transfer, refusal: Refusal): void;
  /** The response of a shared fill may not be stored: for a while nobody need wait for another's. */
  rememberPass(key: string): void;
  /** The response that has just begun for the key is not stored, and why; undefined: it is. */
  rememberFate(key: string, fate: Fate | undefined): void;
  rememberVary(key: string, names: readonly string[]): void;
  ended(fill: Fill): void;
}
