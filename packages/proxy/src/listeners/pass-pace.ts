import { type ClientLimits, CONTENT_RATE_WINDOW_S, TICK_MS } from "../limits.ts";
import type { PassThrough } from "../pass-through.ts";

const CONTENT_RATE_WINDOW_TICKS = (CONTENT_RATE_WINDOW_S * 1000) / TICK_MS;

/** How fast a client gets on with a request that passes: its content has to come at a rate, and a tunnel must not be silent for ever. */
export class PassPace {
  /** Of the window over which a rate is kept; in a tunnel, ticks without an octet. */
  #ticks = 0;
  #windowBytes = 0;

  reset(): void {
    this.#ticks = 0;
    this.#windowBytes = 0;
  }

  /** Whether the client takes too long with its content. Measured only while it is we who wait for it. */
  isTooSlow(pass: PassThrough, { contentRateMin }: ClientLimits): boolean {
    const bytes = pass.takeContentBytes();
    if (bytes === undefined) {
      this.reset();
      return false;
    }
    this.#ticks++;
    this.#windowBytes += bytes;
    if (this.#ticks < CONTENT_RATE_WINDOW_TICKS) return false;
    const isTooSlow = this.#windowBytes < contentRateMin * CONTENT_RATE_WINDOW_S;
    this.reset();
    return isTooSlow;
  }

  /** Whether nothing has passed through the tunnel for too long. */
  isSilent(tunnel: PassThrough, { tunnelIdleMs }: ClientLimits): boolean {
    this.#ticks = tunnel.takeMoved() ? 0 : this.#ticks + 1;
    return this.#ticks * TICK_MS > tunnelIdleMs;
  }
}
