import { Breaker } from "./breaker.ts";
import { type Engine, EngineError } from "./engine.ts";
import type { SharedTierOptions } from "./shared-tier-options.ts";

/** How often it is looked whether a server that is left alone is to be probed. */
const PROBE_EVERY_MS = 50;

/** Asks the servers of an engine, and leaves those alone that have not answered in time, until they do. */
export class EngineGuard {
  readonly #engine: Engine;
  readonly #options: GuardOptions;
  /** By server. `key`: one that it answers for. */
  readonly #breakers = new Map<string, { readonly breaker: Breaker; key: string }>();
  /** Runs while a server is left alone. */
  #probes: Timer | undefined;
  #isClosed = false;

  constructor(engine: Engine, options: GuardOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** How many of the engine's servers are left alone just now. */
  get openCount(): number {
    let open = 0;
    for (const { breaker } of this.#breakers.values()) if (breaker.isOpen) open++;
    return open;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#probes);
  }

  /** Asks the server that answers for `key`, if it has answered lately; undefined when it does not, or has not in time. */
  async ask(
    key: string,
    timeoutMs: number,
    ask: (timeoutMs: number) => Promise<unknown>,
  ): Promise<unknown | undefined> {
    const guard = this.#guardOf(key);
    if (guard.breaker.isOpen) return undefined;
    const startedMs = this.#options.monotonicMs();
    try {
      const answer = await ask(timeoutMs);
      guard.breaker.succeeded();
      this.#options.count("sharedLookups");
      this.#options.count("sharedLookupMicros", Math.round((this.#options.monotonicMs() - startedMs) * 1000));
      return answer;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (/WRONGTYPE/.test(error.message)) {
        // Somebody has put something else there: that says nothing of the server.
        guard.breaker.succeeded();
        this.#options.onWrongType(key);
        return undefined;
      }
      guard.key = key;
      this.#failed(guard.breaker, error);
      return undefined;
    }
  }

  #failed(breaker: Breaker, error: EngineError): void {
    this.#options.count("sharedFailures");
    if (!breaker.failed(this.#options.monotonicMs(), error.code === "ERR_ENGINE_AWAY")) return;
    if (!this.#isClosed) this.#probes ??= setInterval(() => this.#probe(), PROBE_EVERY_MS);
    this.#options.log("warn", `${error.message}. It is left alone for a while, and the origin asked instead`);
  }

  #guardOf(key: string): { readonly breaker: Breaker; key: string } {
    const server = this.#engine.serverOf(key);
    const known = this.#breakers.get(server);
    if (known !== undefined) return known;
    const guard = { breaker: new Breaker(), key };
    this.#breakers.set(server, guard);
    return guard;
  }

  /** Looks whether the servers that are left alone answer again. */
  #probe(): void {
    for (const [server, guard] of this.#breakers) {
      if (!guard.breaker.isOpen) continue;
      if (this.#engine.serverOf(guard.key) !== server)
        this.#breakers.delete(server); // another one has taken its place
      else if (guard.breaker.takeProbe(this.#options.monotonicMs())) void this.#probeOne(guard);
    }
    if (this.openCount > 0) return;
    clearInterval(this.#probes);
    this.#probes = undefined;
  }

  async #probeOne({ breaker, key }: { readonly breaker: Breaker; key: string }): Promise<void> {
    try {
      await this.#engine.call(this.#options.budgetMs, "EXISTS", key);
      breaker.succeeded();
      this.#options.log("info", `${this.#options.where} answers in time again`);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      breaker.failed(this.#options.monotonicMs());
      if (error.code === "ERR_ENGINE_SLOW") this.#engine.reconnect();
    }
  }
}

interface GuardOptions extends Pick<SharedTierOptions, "budgetMs" | "count" | "log" | "monotonicMs"> {
  readonly where: string;
  /** Somebody has put something else under a key. */
  readonly onWrongType: (key: string) => void;
}
