import packageJson from "../../package.json" with { type: "json" };
import { readChannel, readChannelStats } from "../channel-stats.ts";
import type { LiveView, TierLimits } from "../live/live-view.ts";
import type { AdminSources, adminApp, ProcessViews } from "./app.ts";

export interface AdminOptions {
  /** As in {@link AdminSources}. */
  host: string;
  channel: string;
  processes: ProcessViews;
  purge: AdminSources["purge"];
  sharedStatus: AdminSources["sharedStatus"];
  limits: TierLimits;
  explaining: AdminSources["explaining"];
}

/** The admin API behind its port. It is loaded when it is to watch, or with the first request: nobody who starts waits for it. */
export class LateAdmin {
  readonly #options: AdminOptions;
  #loading: Promise<ReturnType<typeof adminApp>> | undefined;
  #live: LiveView | undefined;
  #isWatching = false;

  constructor(options: AdminOptions) {
    this.#options = options;
  }

  async answer(request: Request): Promise<Response> {
    const app = await this.#loaded();
    return await app.fetch(request);
  }

  /** To be called once: from now on it sees what the channel's processes do. */
  watch(): void {
    this.#isWatching = true;
    if (this.#live !== undefined) this.#live.start();
    else this.#loaded().catch(() => {}); // the next request tries again, and says why not
  }

  stop(): void {
    this.#isWatching = false;
    this.#live?.stop();
  }

  #loaded(): Promise<ReturnType<typeof adminApp>> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #load(): Promise<ReturnType<typeof adminApp>> {
    const [{ adminApp }, { LiveView }] = await Promise.all([import("./app.ts"), import("../live/live-view.ts")]);
    const { channel, processes, sharedStatus, limits, ...others } = this.#options;
    const live = new LiveView(channel);
    this.#live = live;
    if (this.#isWatching) live.start();
    return adminApp({
      ...others,
      processes,
      sharedStatus,
      live,
      readStats: () => readChannelStats(channel),
      // The metrics library is loaded when somebody asks for metrics: it takes as long as all the rest of the start.
      renderMetrics: async () =>
        (await import("./metrics.ts")).renderMetrics(readChannel(channel), processes, sharedStatus()),
      about: { channel, version: packageJson.version, limits },
    });
  }
}
