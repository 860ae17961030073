import { isStopped, objectName, SharedMemoryCopy } from "@proj/ipc";
import { everyBeat, type Heartbeat, OwnSilence, type SilenceParts, threadFacts } from "@proj/process";
import {
  type ControlBlock,
  channelNames,
  HEARTBEAT_MS,
  readControlBlock,
  type Side,
  SilenceWatch,
  threadIdWord,
  watchedParts,
} from "@proj/protocol/process";
import { type Silence, StallJudge } from "./stall-judge.ts";

/** What the watch says: that the process stands still, that it goes on, or that there is no more hope that it will. */
export interface WatchNews {
  onSilent(why: string): void;
  onGoesOn(): void;
  onHopeless(why: string): void;
}

/** One child process under watch: reads its threads' heartbeats in shared memory, so that one which lives and does nothing is noticed too. */
export class ProcessWatch {
  readonly #options: { channel: string; side: Side; pid: number };
  readonly #news: WatchNews;
  readonly #looks: Heartbeat;
  #block: WatchedBlock | undefined;
  readonly #own: OwnSilence;
  readonly #judge: StallJudge;
  #isSilent = false;
  #loadingMs = 0;

  /** @param options.pid Of the process that is watched: a control block of another one is not looked at. */
  constructor(options: { channel: string; side: Side; pid: number }, news: WatchNews) {
    this.#options = options;
    this.#news = news;
    this.#own = new OwnSilence(threadFacts(options.pid));
    this.#judge = new StallJudge(options.side);
    this.#looks = everyBeat(() => this.#look());
  }

  /** It is stopped, or one of its threads hangs. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  stop(): void {
    this.#looks.stop();
    this.#block?.memory.close();
    this.#block = undefined;
  }

  #look(): void {
    const { pid } = this.#options;
    this.#block ??= this.#open();
    const block = this.#block;
    if (block?.parts.every(({ offset, bytes }) => block.memory.refresh(offset, bytes)) === false)
      return this.#say("its control block has been cut short", true);
    const silences = block === undefined ? [] : this.#silencesOf(block);
    const verdict = this.#judge.judge({
      // Before it has a control block nothing else would tell.
      isStopped: (block === undefined || silences.length > 0) && isStopped(pid),
      isServing: block !== undefined && isServing(block.memory),
      threads: block?.threads ?? 0,
      silences,
      loading: block === undefined ? this.#loading() : undefined,
      notBegun: block === undefined ? undefined : firstNotBegun(block),
    });
    if (verdict.kind !== "well") return this.#say(verdict.why, verdict.kind === "hopeless");
    if (this.#isSilent) this.#news.onGoesOn();
    this.#isSilent = false;
  }

  #say(why: string, isHopeless: boolean): void {
    if (!this.#isSilent) this.#news.onSilent(why);
    this.#isSilent = true;
    if (!isHopeless) return;
    this.stop();
    this.#news.onHopeless(why);
  }

  /** Threads that have been silent for a while, and for how long of it they could have run. */
  #silencesOf({ memory, threads, watch }: WatchedBlock): Silence[] {
    const { pid } = this.#options;
    watch.look(memory.i32, performance.now());
    const silences: Silence[] = [];
    for (let index = -1; index < threads; index++) {
      const thread = index < 0 ? "main" : index;
      const threadId = thread === "main" ? pid : memory.i32[threadIdWord(thread)]!;
      const parts = this.#own.parts(thread, threadId, watch.silentMs(thread));
      if (parts !== undefined) silences.push({ thread, ...parts });
    }
    return silences;
  }

  /** Looks are counted, not time, for the same reason as in {@link SilenceWatch}. */
  #loading(): SilenceParts | undefined {
    const { pid } = this.#options;
    this.#loadingMs += HEARTBEAT_MS;
    return this.#own.parts("main", pid, this.#loadingMs);
  }

  #open(): WatchedBlock | undefined {
    const { channel, side, pid } = this.#options;
    const memory = SharedMemoryCopy.open(objectName(channelNames(channel).controlBlock(side)));
    const block = memory && readControlBlock(memory.buffer);
    if (memory !== undefined && isOf(block, pid)) {
      const { threads } = block;
      return { memory, parts: watchedParts(threads), threads, watch: new SilenceWatch(threads) };
    }
    memory?.close(); // a former life's, or half made: it starts
    return undefined;
  }
}

/** The control block of the process, once it is there. */
interface WatchedBlock {
  memory: SharedMemoryCopy;
  parts: ReturnType<typeof watchedParts>;
  threads: number;
  watch: SilenceWatch;
}

function firstNotBegun({ memory, threads }: WatchedBlock): number | undefined {
  for (let thread = 0; thread < threads; thread++) if (memory.i32[threadIdWord(thread)] === 0) return thread;
  return undefined;
}

function isOf(block: ReturnType<typeof readControlBlock>, pid: number): block is ControlBlock {
  return typeof block === "object" && block.pid === pid;
}

function isServing({ buffer }: SharedMemoryCopy): boolean {
  const block = readControlBlock(buffer);
  return typeof block === "object" && block.state === "serving";
}
