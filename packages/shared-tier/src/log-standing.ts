import type { LogState } from "./log-state.ts";

/** How the node stands in the purge log, as one of its threads has last been told. */
export class LogStanding {
  #state: LogState | undefined;

  hear(state: LogState): void {
    this.#state = state;
  }

  /** This node has applied the purge with that number, and all before. */
  applied(sequence: number): void {
    if (this.#state !== undefined) this.#state = { ...this.#state, sequence: Math.max(this.#state.sequence, sequence) };
  }

  get isJoined(): boolean {
    return this.#state?.isJoined === true;
  }

  /** The number of the last purge that this node has applied; a fill that begins now brings nothing that it, or an earlier one, has purged. */
  get sequence(): number {
    return this.#state?.sequence ?? 0;
  }

  /** The engine's clock at a moment of this node's. */
  toEngineMs(localMs: number): number {
    return localMs + (this.#state?.clockOffsetMs ?? 0);
  }

  toLocalMs(engineMs: number): number {
    return engineMs - (this.#state?.clockOffsetMs ?? 0);
  }
}
