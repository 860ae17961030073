import { isStopped, objectName, SharedMemoryCopy } from "@proj/ipc";
import { OwnSilence } from "@proj/process";
import {
  type ControlBlock,
  channelNames,
  HEARTBEAT_MS,
  readControlBlock,
  type Side,
  SilenceWatch,
  threadIdWord,
} from "@proj/protocol";

/** A thread that had a processor to run on and was silent for so long is said to hang: one turn of its event loop takes milliseconds. */
const SILENT_AFTER_MS = 1_000;
/** And then it is not waited for any longer: nothing that a thread does in one turn of its event loop is known to take a fifth of that. */
const HUNG_AFTER_MS = 5_000;
/**
 * A stopped process (SIGSTOP) is stopped beyond doubt: this long after that is seen, which takes three beats, it is replaced. While the proxy is, nobody is served, so that is
 * soon; the cache the proxy can do without for a while, and what it has in memory is worth some patience.
 */
const STOPPED_AFTER_MS: Record<Side, number> = { proxy: 100, cache: 5_000 };

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
  readonly #timer: ReturnType<typeof setInterval>;
  #block: WatchedBlock | undefined;
  readonly #own: OwnSilence;
  #stoppedMs = 0;
  #isSilent = false;

  /** @param options.pid Of the process that is watched: a control block of another one is not looked at. */
  constructor(options: { channel: string; side: Side; pid: number }, news: WatchNews) {
    this.#options = options;
    this.#news = news;
    this.#own = new OwnSilence(options.pid);
    this.#timer = setInterval(() => this.#look(), HEARTBEAT_MS);
  }

  /** It is stopped, or one of its threads hangs. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#block?.memory.close();
    this.#block = undefined;
  }

  #look(): void {
    const { side, pid } = this.#options;
    this.#block ??= this.#open();
    if (this.#block?.memory.refresh() === false) return this.#say("its control block has been cut short", true);
    const silences = this.#block === undefined ? undefined : this.#silencesOf(this.#block);
    const mayBeStopped = silences === undefined || silences.length > 0;
    this.#stoppedMs = mayBeStopped && isStopped(pid) ? this.#stoppedMs + HEARTBEAT_MS : 0;
    if (this.#stoppedMs > 0) {
      return this.#say("it is stopped (SIGSTOP)", this.#stoppedMs >= STOPPED_AFTER_MS[side]);
    }
    const worst = (silences ?? []).reduce((most, one) => (one.ownMs > most.ownMs ? one : most), NO_SILENCE);
    if (worst.ownMs >= SILENT_AFTER_MS) {
      const seconds = (worst.ownMs / 1000).toFixed(1);
      return this.#say(`its thread ${worst.thread} has not moved for ${seconds} s`, worst.ownMs >= HUNG_AFTER_MS);
    }
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
      const ownMs = this.#own.ms(thread, threadId, watch.silentMs(thread));
      if (ownMs > 0) silences.push({ thread, ownMs });
    }
    return silences;
  }

  #open(): WatchedBlock | undefined {
    const { channel, side, pid } = this.#options;
    const memory = SharedMemoryCopy.open(objectName(channelNames(channel).controlBlock(side)));
    const block = memory && readControlBlock(memory.buffer);
    if (memory !== undefined && isOf(block, pid)) {
      return { memory, threads: block.threads, watch: new SilenceWatch(block.threads) };
    }
    memory?.close(); // a former life's, or half made: it starts
    return undefined;
  }
}

/** The control block of the process, once it is there. */
interface WatchedBlock {
  memory: SharedMemoryCopy;
  threads: number;
  watch: SilenceWatch;
}

interface Silence {
  thread: number | "main";
  ownMs: number;
}
const NO_SILENCE: Silence = { thread: "main", ownMs: 0 };

function isOf(block: ReturnType<typeof readControlBlock>, pid: number): block is ControlBlock {
  return typeof block === "object" && block.pid === pid;
}
