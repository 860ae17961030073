import type { ExplainQuestion, Explanation, NodesPurgeCount, Purge, SharedStatus } from "@proj/cache";
import { isStopped } from "@proj/ipc";
import type { Side } from "@proj/protocol";
import type { ChildMessage, ChildSettings, SupervisorMessage } from "./child-message.ts";
import { ChildProcess } from "./child-process.ts";
import { type CommandError, cannotRun, messageOf } from "./command-error.ts";
import type { Log } from "./log.ts";
import { ProcessWatch } from "./process-watch.ts";
import { RestartPolicy } from "./restart-policy.ts";

export interface SupervisedProcessOptions {
  name: string;
  /** Whose heartbeats tell whether it hangs; undefined: nobody's do. */
  watched?: { channel: string; side: Side };
  /** The command line, asked for anew at each start. */
  command: () => string[];
  /** Processes that have loaded the code and wait to take its place: how many, and their command line; undefined: none. */
  spares?: { readonly count: number; readonly command: () => string[] };
  /** A spare one that is there already. */
  firstSpare?: ChildProcess | undefined;
  /** What it goes by, asked for anew whenever it is told. */
  settings: () => ChildSettings;
  log: Log;
  /** Descriptors that it inherits, as 3 and those that follow. */
  inherited?: readonly number[];
  /** Called each time that it says that it serves. */
  onReady: () => void;
  /** Called once, when it will not be started again although nobody asked it to stop. */
  onGiveUp: (why: CommandError) => void;
}

/** A process that is not yet what it is to be. */
interface SpareProcess {
  readonly child: ChildProcess;
  /** It listens for its settings. */
  isWaiting: boolean;
}

/** Each takes 8 MiB. A machine for more than these has processors to load the others when they are needed: together in a quarter of a second. */
const SPARE_THREADS_MAX = 4;
/** For whoever has waited for the process that serves now to be served first, and for the spare before this one to load. */
const SPARE_AFTER_MS = 200;
/** The next one, where there is one already: should that be needed meanwhile, it is not to want a processor for itself. */
const FURTHER_SPARE_AFTER_MS = 1_000;
/** One that has ended by itself would perhaps do so again. */
const NEXT_SPARE_AFTER_MS = 5_000;

/**
 * A child process that is kept running until {@link stop}: started anew when it dies, later each time, until that is hopeless.
 *
 * Where spare ones are kept, one takes its place when it dies, and has only to begin to serve; others are made once it does.
 */
export class SupervisedProcess {
  readonly #options: SupervisedProcessOptions;
  readonly #policy = new RestartPolicy();
  #child: ChildProcess | undefined;
  /** The oldest first. */
  #spares: SpareProcess[] = [];
  #spareTimer: Timer | undefined;
  /** That none could be made has been said, and none has been made since. */
  #wantsSpareInVain = false;
  #watch: ProcessWatch | undefined;
  #stalls = 0;
  #isReady = false;
  #hasServed = false;
  #isStopping = false;
  #starts = 0;
  #restartTimer: Timer | undefined;
  #complaint: string | undefined;
  /** Why this life has been ended by us. */
  #killedFor: string | undefined;
  readonly #explanations = new Map<number, PromiseWithResolvers<Explanation>>();
  readonly #purges = new Map<number, PromiseWithResolvers<NodesPurgeCount>>();
  readonly #configurations = new Map<number, () => void>();
  #nextMessage = 1;
  /** What it has been told last. */
  #told: ChildSettings | undefined;
  #sharedStatus: SharedStatus | undefined;

  constructor(options: SupervisedProcessOptions) {
    this.#options = options;
    const { firstSpare } = options;
    if (firstSpare === undefined) return;
    this.#spares.push({ child: firstSpare, isWaiting: false });
    this.#listenTo(firstSpare);
  }

  /** It has said that it serves, and does not stand still. */
  get isReady(): boolean {
    return this.#isReady && this.#watch?.isSilent !== true;
  }

  /** It is stopped as a whole (SIGSTOP) at this moment: {@link isReady} may not tell yet. */
  get isStopped(): boolean {
    return this.#child !== undefined && isStopped(this.#child.pid);
  }

  /** It has said that it serves, at least once; since then it may have died, or stand still. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** How often it stood still: was stopped, or hung. */
  get stalls(): number {
    return this.#stalls;
  }

  get hasStarted(): boolean {
    return this.#starts > 0;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get restarts(): number {
    return Math.max(0, this.#starts - 1);
  }

  /** What it has last said of how its node stands to others; undefined: it shares nothing, or does not run. */
  get sharedStatus(): SharedStatus | undefined {
    return this.#sharedStatus;
  }

  start(): void {
    this.#starts++;
    this.#complaint = undefined;
    this.#killedFor = undefined;
    const spare = this.#spares.shift();
    try {
      this.#child = spare?.child ?? this.#spawn(this.#options.command());
    } catch (error) {
      return this.#handleFailedStart(error);
    }
    this.#watch = this.#watchOver(this.#child);
    if (spare?.isWaiting) this.#tell(0);
  }

  /** A machine that has no room for it just now may have some later: that is a death like any other. */
  #handleFailedStart(error: unknown): void {
    this.#complaint = messageOf(error);
    this.#startAgain({ end: "could not be started" });
  }

  /** @throws {Error} The system has no room for another process. */

  #spawn(command: string[]): ChildProcess {
    const child = new ChildProcess(command, this.#options.inherited);
    this.#listenTo(child);
    return child;
  }

  /** As a spare one, then as the one that serves. */
  #listenTo(child: ChildProcess): void {
    const asSpare = () => this.#spares.find((one) => one.child === child);
    child.listen({
      onMessage: (message) => {
        const spare = asSpare();
        if (spare !== undefined) this.#hearSpare(spare, message);
        else if (child === this.#child) this.#hear(message);
      },
      onEnd: () => {
        const spare = asSpare();
        if (spare !== undefined) this.#loseSpare(spare);
        else this.#handleDeath(child);
      },
    });
  }

  /** One after the other. */
  #keepSpares(afterMs = this.#spares.length > 0 ? FURTHER_SPARE_AFTER_MS : SPARE_AFTER_MS): void {
    const { spares } = this.#options;
    clearTimeout(this.#spareTimer);
    if (spares === undefined || this.#spares.length >= spares.count) return;
    this.#spareTimer = setTimeout(() => {
      if (!this.#isReady || this.#isStopping) return;
      try {
        this.#spares.push({ child: this.#spawn(spares.command()), isWaiting: false });
        this.#wantsSpareInVain = false;
      } catch (error) {
        this.#keepSpares(NEXT_SPARE_AFTER_MS);
        this.#handleFailedSpare(error);
      }
    }, afterMs);
  }

  #handleFailedSpare(error: unknown): void {
    if (this.#wantsSpareInVain) return;
    this.#wantsSpareInVain = true;
    const { log, name } = this.#options;
    const message = `cannot start a spare ${name} process; trying again every ${NEXT_SPARE_AFTER_MS / 1000} s`;
    log({ level: "warn", message, reason: messageOf(error) });
  }

  #hearSpare(spare: SpareProcess, message: ChildMessage): void {
    if (message.type !== "settings-wanted") return;
    spare.isWaiting = true;
    const threads = Math.min(this.#options.settings().options.threads, SPARE_THREADS_MAX);
    const wait: SupervisorMessage = { type: "wait", id: 0, threads };
    spare.child.send(wait);
    this.#keepSpares();
  }

  #loseSpare(spare: SpareProcess): void {
    this.#spares = this.#spares.filter((one) => one !== spare);
    this.#keepSpares(NEXT_SPARE_AFTER_MS);
  }

  /** They hold the descriptors that they have inherited. */
  async #endSpares(): Promise<void> {
    clearTimeout(this.#spareTimer);
    const spares = this.#spares;
    this.#spares = [];
    for (const { child } of spares) child.kill("SIGKILL");
    await Promise.all(spares.map(({ child }) => child.exited));
  }

  /**
   * Has it purge what it stores.
   *
   * @throws {CommandError} It does not serve just now, or ended over it; nothing can be said of what was purged.
   */
  purge(purge: Purge): Promise<NodesPurgeCount> {
    const child = this.#child;
    const { name } = this.#options;
    if (child === undefined || !this.isReady) {
      return Promise.reject(cannotRun(`Cannot purge: the ${name} process does not serve just now; try again`));
    }
    const message: SupervisorMessage = { type: "purge", id: this.#nextMessage++, purge };
    const purged = Promise.withResolvers<NodesPurgeCount>();
    this.#purges.set(message.id, purged);
    child.send(message);
    return purged.promise;
  }

  /**
   * Has it say what would happen to a request.
   *
   * @throws {CommandError} It does not serve just now, or could not tell.
   */
  explain(question: ExplainQuestion): Promise<Explanation> {
    const child = this.#child;
    if (child === undefined || !this.isReady)
      return Promise.reject(
        cannotRun(`Cannot explain: the ${this.#options.name} process does not serve just now; try again`),
      );
    const message: SupervisorMessage = { type: "explain", id: this.#nextMessage++, question };
    const explained = Promise.withResolvers<Explanation>();
    this.#explanations.set(message.id, explained);
    child.send(message);
    return explained.promise;
  }

  /**
   * Tells it what holds from now on; resolves once it does. One that does not serve just now is told before it does, and one that refuses says so in
   * the log and goes on as before.
   */
  configure(): Promise<void> {
    if (this.#child === undefined || !this.#isReady || this.#told === this.#options.settings())
      return Promise.resolve();
    const used = Promise.withResolvers<void>();
    const id = this.#nextMessage++;
    this.#configurations.set(id, used.resolve);
    this.#tell(id);
    return used.promise;
  }

  /** Passes a signal on, if it runs and has said that it serves: before that it may not be ready for it. */
  signal(signal: NodeJS.Signals): void {
    if (this.#isReady) this.#child?.kill(signal);
  }

  #tell(id: number): void {
    const settings = this.#options.settings();
    this.#told = settings;
    const message: SupervisorMessage = { type: "settings", id, settings };
    this.#child?.send(message);
  }

  /** Asks it to end with SIGTERM and waits for that; after `graceMs`, or when `hurry` is aborted, it is killed. */
  async stop(graceMs: number, hurry: AbortSignal): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    this.#watch?.stop(); // what it does while it ends has a limit of its own
    await this.#endSpares();
    const child = this.#child;
    if (child === undefined) return;
    const kill = () => {
      this.#options.log({
        level: "warn",
        message: `killing the ${this.#options.name} process, which does not end`,
        child: child.pid,
      });
      child.kill("SIGKILL");
    };
    const timer = setTimeout(kill, graceMs);
    hurry.addEventListener("abort", kill, { once: true });
    if (hurry.aborted) kill();
    child.kill("SIGTERM");
    await child.exited;
    clearTimeout(timer);
    hurry.removeEventListener("abort", kill);
  }

  #hear(message: ChildMessage): void {
    if (message.type === "failed") this.#complaint = message.message;
    if (message.type === "shared") this.#sharedStatus = message.status;
    if (message.type === "purged") this.#settlePurge(message);
    if (message.type === "explained") this.#settleExplanation(message);
    if (message.type === "settings-wanted") this.#tell(0);
    if (message.type === "settings-used") this.#settleConfiguration(message);
    if (message.type !== "ready") return;
    this.#isReady = true;
    this.#hasServed = true;
    this.#policy.served(performance.now());
    this.#keepSpares();
    void this.configure(); // they may have changed while it started
    this.#options.onReady();
  }

  #settleConfiguration({ id, fault }: Extract<ChildMessage, { type: "settings-used" }>): void {
    const { log, name } = this.#options;
    if (fault !== undefined) log({ level: "error", message: `The ${name} process goes on as before: ${fault}` });
    this.#configurations.get(id)?.();
    this.#configurations.delete(id);
  }

  #settleExplanation({ id, outcome }: Extract<ChildMessage, { type: "explained" }>): void {
    const explained = this.#explanations.get(id);
    this.#explanations.delete(id);
    if ("message" in outcome) explained?.reject(cannotRun(`Cannot explain: ${outcome.message}`));
    else explained?.resolve(outcome);
  }

  #settlePurge({ id, outcome }: Extract<ChildMessage, { type: "purged" }>): void {
    const purged = this.#purges.get(id);
    this.#purges.delete(id);
    if ("message" in outcome) purged?.reject(cannotRun(`Cannot purge: ${outcome.message}; try again`));
    else purged?.resolve(outcome);
  }

  #watchOver(child: ChildProcess): ProcessWatch | undefined {
    const { name, watched, log } = this.#options;
    if (watched === undefined) return undefined;
    return new ProcessWatch(
      { ...watched, pid: child.pid },
      {
        onSilent: (why) => {
          this.#stalls++;
          log({ level: "warn", message: `the ${name} process stands still: ${why}`, child: child.pid });
        },
        onGoesOn: () => log({ level: "info", message: `the ${name} process goes on`, child: child.pid }),
        onHopeless: (why) => {
          log({ level: "error", message: `killing the ${name} process: ${why}`, child: child.pid });
          this.#killedFor = why;
          child.kill("SIGKILL");
        },
      },
    );
  }

  #handleDeath(child: ChildProcess): void {
    if (child !== this.#child) return; // a spare one that was not wanted any more
    this.#isReady = false;
    clearTimeout(this.#spareTimer);
    this.#watch?.stop();
    this.#watch = undefined;
    this.#sharedStatus = undefined;
    this.#child = undefined;
    const ended = cannotRun(`Cannot purge: the ${this.#options.name} process has ended over it; try again`);
    for (const purged of this.#purges.values()) purged.reject(ended);
    this.#purges.clear();
    for (const explained of this.#explanations.values())
      explained.reject(cannotRun("Cannot explain: the cache has ended over it; try again"));
    this.#explanations.clear();
    for (const used of this.#configurations.values()) used(); // its successor is told
    this.#configurations.clear();
    if (this.#isStopping) return;
    // One that says why it can not run, and never could, would say the same again.
    if (this.#complaint !== undefined && !this.#hasServed) this.#options.onGiveUp(cannotRun(this.#complaint));
    else this.#startAgain(child);
  }

  /** @param died How it ended, and the process that did, where there was one. */
  #startAgain({ end, pid }: { readonly end: string; readonly pid?: number }): void {
    const { name, log, onGiveUp } = this.#options;
    const next = this.#policy.died(performance.now());
    if (next.kind === "give-up") return onGiveUp(cannotRun(this.#hopeless(end, next.deaths)));
    const reason = this.#complaint;
    // Clients may be waiting: it is told of after that. (One that could not be started is told of before it is tried again.)
    if (next.afterMs === 0 && pid !== undefined) this.start();
    else this.#restartTimer = setTimeout(() => this.start(), next.afterMs);
    const when = next.afterMs === 0 ? "at once" : `in ${next.afterMs} ms`;
    log({
      level: "error",
      message: `the ${name} process ${end}; starting it again ${when}`,
      ...(pid !== undefined && { child: pid }),
      ...(reason !== undefined && { reason }),
    });
  }

  #hopeless(how: string, deaths: number): string {
    const reason = this.#complaint ?? this.#killedFor ?? "it gave no reason; look at what it wrote before this line";
    return `Cannot keep the ${this.#options.name} process running: it ${how}, ${deaths} times in a row without having served: ${reason}`;
  }
}
